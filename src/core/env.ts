// Reading the environment. A record is handed in, so that two instances in one process can differ.

import { coreError } from "./errors.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** @throws CONFIG_ENV_MISSING naming the variable and what asked for it; never its value. */
export function requireEnv(env: Env, name: string, askedBy: string): string {
  const value = env[name];
  if (value !== undefined && value !== "") return value;
  throw coreError("CONFIG_ENV_MISSING", {
    message: `The environment variable ${name} is not set: ${askedBy} needs it`,
    hint: `Set ${name}, in .env for \`pylon dev\``,
    details: [{ path: askedBy, message: `${name} is not set` }],
  });
}
