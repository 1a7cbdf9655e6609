// JSON Schema as something that checks payloads.

import { z } from "zod";
import type { JsonObject } from "../../core/json.ts";

/** Reads a JSON Schema; undefined when it is none, or says something that cannot be checked. */
export function compilePayload(schema: JsonObject): z.ZodType | undefined {
  try {
    return z.fromJSONSchema(schema);
  } catch {
    return undefined;
  }
}
