// The variables of `.env` and `.env.local`, laid under the environment: what the process was started with always wins, and a
// variable that leaves the files leaves the environment again.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "../core/errors.ts";
import { cliError } from "./cli-errors.ts";
import { parseDotenv } from "./dotenv.ts";

/** Later ones win. */
const FILES: readonly string[] = [".env", ".env.local"];

export interface EnvFiles {
  /** Reads the files again and changes the environment. @throws ENV_FILE_INVALID, and nothing has changed then */
  load(): void;
  /** Whether a variable has its value from a file. */
  has(name: string): boolean;
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw cliError("ENV_FILE_INVALID", { message: `Cannot read "${path}"`, cause: error });
  }
}

/** @throws ENV_FILE_INVALID with the line of every problem. */
function readFiles(dir: string): Map<string, string> {
  const values = new Map<string, string>();
  const problems: Problem[] = [];
  for (const file of FILES) {
    const text = readIfPresent(join(dir, file));
    if (text === undefined) continue;
    const parsed = parseDotenv(text);
    for (const [name, value] of parsed.values) values.set(name, value);
    problems.push(...parsed.problems.map(({ line, message }) => ({ path: `${file}:${line}`, message })));
  }
  if (problems.length > 0) throw cliError("ENV_FILE_INVALID", { details: problems });
  return values;
}

export function createEnvFiles(dir: string, env: Record<string, string | undefined>): EnvFiles {
  const applied = new Set<string>();
  return {
    load() {
      const values = readFiles(dir);
      for (const name of applied) {
        if (values.has(name)) continue;
        delete env[name];
        applied.delete(name);
      }
      for (const [name, value] of values) {
        if (env[name] !== undefined && !applied.has(name)) continue;
        env[name] = value;
        applied.add(name);
      }
    },
    has: (name) => applied.has(name),
  };
}
