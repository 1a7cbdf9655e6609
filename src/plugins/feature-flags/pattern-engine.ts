// Regular expressions that match in time linear to the text (RE2), so that no pattern and no attribute can keep a process
// busy. In a module of its own: its tables are read only where a flag has a pattern.

import { RE2JS } from "re2js";
import type { PatternEngine } from "./condition-operators.ts";

/** @throws RE2JSSyntaxException for a pattern that RE2 does not take */
export const compilePattern: PatternEngine = (pattern, ignoreCase) => {
  const compiled = RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0);
  return (text) => typeof text === "string" && compiled.matcher(text).find();
};
