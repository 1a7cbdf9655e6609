// The rooms of the house as data: who may import whom, who sees only Web APIs, and which libraries stand in which room.
// `test/house.test.ts` holds the sources to it; the reasons are in docs/ARCHITECTURE.md.

export interface Room {
  /** A folder of src/, a file of src/, or `plugins/*` for every folder of src/plugins/. */
  readonly name: string;
  /** A room imports only rooms with a smaller number: never its equals, never what stands above. */
  readonly rank: number;
  /** Sees Web APIs alone, so that it runs on Bun, on Deno and in a Worker alike. */
  readonly webOnly: boolean;
  /** The npm packages that may be imported here; undefined: any. */
  readonly libraries?: readonly string[];
  /** The only rooms that may import this one; undefined: every room with a larger number. */
  readonly importedBy?: readonly string[];
}

const NONE: readonly string[] = [];
const INPUT: readonly string[] = ["zod"];
const ROUTES: readonly string[] = ["hono", "zod", "@hono/zod-validator"];
const ENTRIES: readonly string[] = ["main.ts", "mod.ts"];

export const ROOMS: readonly Room[] = [
  { name: "core", rank: 0, webOnly: true, libraries: NONE },
  { name: "cache", rank: 1, webOnly: true, libraries: NONE },
  { name: "crypto", rank: 1, webOnly: true, libraries: NONE },
  { name: "net", rank: 2, webOnly: true, libraries: NONE },
  { name: "store", rank: 2, webOnly: true, libraries: NONE },
  { name: "jobs", rank: 3, webOnly: true, libraries: NONE },
  { name: "manifest", rank: 3, webOnly: true, libraries: INPUT },
  { name: "data", rank: 4, webOnly: true, libraries: INPUT },
  { name: "auth", rank: 4, webOnly: true, libraries: ["zod", "hono"] },
  { name: "functions", rank: 5, webOnly: true, libraries: INPUT },
  { name: "plugin", rank: 5.5, webOnly: true, libraries: ROUTES },
  // Rules of flags match patterns that an administrator writes on texts that strangers send: re2js takes linear time.
  { name: "plugins/*", rank: 6, webOnly: true, libraries: [...ROUTES, "re2js"] },
  { name: "sdk", rank: 6, webOnly: true, libraries: INPUT },
  { name: "http", rank: 7, webOnly: true, libraries: ROUTES },
  // What a running instance needs beside the rooms: people of the application, upkeep, the reach of outbound calls.
  { name: "instance", rank: 7.2, webOnly: true, libraries: NONE },
  // The assembly of everything above this line; the outer rooms use it.
  { name: "pylon.ts", rank: 7.5, webOnly: true, libraries: ROUTES },
  { name: "plugins.ts", rank: 7.6, webOnly: true, libraries: NONE },
  { name: "version.ts", rank: 7.6, webOnly: true, libraries: NONE },
  { name: "cli", rank: 8, webOnly: false },
  // Only the entries hand a platform to the rest; a room that reached for it would not run anywhere else.
  { name: "platform", rank: 8, webOnly: false, importedBy: ENTRIES },
  { name: "mod.ts", rank: 9, webOnly: false },
  { name: "main.ts", rank: 10, webOnly: false },
];

/** Where a program, or a program that embeds this one, starts. A module that none of these reaches is dead. */
export const ROOTS: readonly string[] = [
  "src/main.ts",
  "src/mod.ts",
  // Importable alone, as package.json says.
  "src/plugins/feature-flags/evaluate-flag.ts",
];

/** File names (without extension) that say nothing about what is inside, so that anything ends up there. */
export const EMPTY_NAMES: readonly string[] = [
  "utils",
  "util",
  "helpers",
  "types",
  "common",
  "shared",
  "misc",
  "index",
];

/** Names that only a platform has. A Web-only room is handed what it needs. */
export const PLATFORM_NAMES: readonly string[] = [
  "Bun",
  "Deno",
  "process",
  "Buffer",
  "setImmediate",
  "clearImmediate",
  "global",
  "require",
  "__dirname",
  "__filename",
];

/** Lines that hold code; comments and blank lines are free. */
export const MAX_CODE_LINES = 350;
