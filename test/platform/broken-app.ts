// An application in which every file is wrong in its own way, with the problem that loading it is to list. Kept as text,
// because no tool should have to read it as source.

export interface BrokenFile {
  readonly text: string;
  /** Where the problem is: `line:column`, or null when it has no place. Absent: the file is fine. */
  readonly at?: string | null;
}

export const BROKEN_APP: Readonly<Record<string, BrokenFile>> = {
  "app.ts": {
    text: 'import {\n  app,\n  nothing\n} from "@pylonsync/sdk";\n\nexport default app({ plugins: nothing });\n',
    at: "3:3",
  },
  "pylon.manifest.json": { text: '{ "name": "broken", ', at: null },
  "lib/torn.ts": { text: "export const torn = 1;\nexport const more: = 2;\n", at: "2:20" },
  "functions/syntax.ts": {
    text: 'import { query } from "@pylonsync/functions";\n\nexport default query({ handler: () => 1 +; });\n',
    at: "3:42",
  },
  "functions/nested.ts": {
    text: 'import { query } from "@pylonsync/functions";\nimport { torn } from "../lib/torn";\nexport default query({ handler: () => torn });\n',
  },
  "functions/nestedToo.ts": {
    text: 'import { query } from "@pylonsync/functions";\nimport { torn } from "../lib/torn";\nexport default query({ handler: () => torn });\n',
  },
  "functions/throws.ts": {
    text: 'import { query } from "@pylonsync/functions";\ninterface Erased {\n  a: 1;\n}\n\nif (query) throw new Error("no luck");\n',
    at: "6:22",
  },
  "functions/throwsText.ts": { text: 'throw "text";\nexport {};\n', at: null },
  "functions/noDefault.ts": { text: "export const fine = 1;\n", at: null },
  "functions/notDefined.js": { text: "export default { handler: () => 1 };\n", at: null },
  "functions/badArgs.ts": {
    text: 'import { query } from "@pylonsync/functions";\n\nexport default query({ args: { a: "string" }, handler: () => 1 });\n',
    at: "3:16",
  },
  "functions/twice.js": {
    text: 'import { query } from "@pylonsync/functions";\nexport default query({ handler: () => 1 });\n',
  },
  "functions/twice.ts": {
    text: 'import { query } from "@pylonsync/functions";\nexport default query({ handler: () => 2 });\n',
    at: null,
  },
  "functions/bad name.ts": { text: "export default 1;\n", at: null },
  "functions/good.ts": {
    text: 'import { query } from "@pylonsync/functions";\nexport default query({ handler: () => 1 });\n',
  },
};

/** Two imports that lead nowhere, of which Bun reports one. */
export const MISSING_IMPORTS =
  'import { query } from "@pylonsync/functions";\n' +
  'import { gone } from "./inner/gone";\n' +
  "import { also } from '../lib/also-gone';\n" +
  'import { none } from "no-such-package-of-pylon";\n' +
  'import type { Erased } from "./erased";\n' +
  "export default query({ handler: (): Erased => [gone, also, none] });\n";
