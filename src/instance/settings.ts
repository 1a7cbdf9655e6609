// The settings of an instance, read once from the environment. Every bad value is reported at once, with its variable.

import type { Env } from "../core/env.ts";
import { coreError, type Problem } from "../core/errors.ts";
import type { Mode } from "./outbound.ts";

export interface Settings {
  readonly adminToken: string | null;
  readonly corsOrigins: readonly string[];
  readonly maxBodyBytes: number;
  readonly functionTimeoutMs: number;
  readonly drainMs: number;
  /** One log line per request. */
  readonly logRequests: boolean;
  /** False leaves background work to other processes on the same store. */
  readonly runJobs: boolean;
}

interface NumberRule {
  readonly name: string;
  readonly fallback: number;
  readonly min: number;
  readonly max: number;
  readonly pattern: RegExp;
}

const WHOLE = /^\d{1,15}$/;
const FRACTION = /^\d{1,15}(?:\.\d{1,9})?$/;

const MAX_BODY = { name: "PYLON_MAX_BODY_BYTES", fallback: 10 * 2 ** 20, min: 1, max: 2 ** 30, pattern: WHOLE };
const FN_TIMEOUT = { name: "PYLON_FN_TIMEOUT_MS", fallback: 30_000, min: 1, max: 3_600_000, pattern: WHOLE };
const DRAIN = { name: "PYLON_DRAIN_SECS", fallback: 10, min: 0, max: 3_600, pattern: FRACTION };
const DB_CONNECTIONS = { name: "PYLON_DB_CONNECTIONS", fallback: 10, min: 2, max: 500, pattern: WHOLE };
const DB_WAIT = { name: "PYLON_DB_WAIT_SECS", fallback: 60, min: 0, max: 3_600, pattern: FRACTION };
const MIN_TOKEN_CHARS = 8;

function readNumber(env: Env, rule: NumberRule, problems: Problem[]): number {
  const text = env[rule.name];
  if (text === undefined || text === "") return rule.fallback;
  // Number() also reads " ", "0x10" and "1e3", which nobody means here.
  const value = rule.pattern.test(text) ? Number(text) : Number.NaN;
  if (value >= rule.min && value <= rule.max) return value;
  const kind = rule.pattern === WHOLE ? "whole number" : "number";
  problems.push({ path: rule.name, message: `Expected a ${kind} from ${rule.min} to ${rule.max}` });
  return rule.fallback;
}

/** `on` or `off`; on when it is not set. */
function readSwitch(env: Env, name: string, problems: Problem[]): boolean {
  const text = env[name];
  if (text !== undefined && text !== "" && text !== "on" && text !== "off") {
    problems.push({ path: name, message: "Expected on or off" });
  }
  return text !== "off";
}

function readOrigins(env: Env, mode: Mode, problems: Problem[]): readonly string[] {
  const text = env.PYLON_CORS_ORIGIN;
  if (text === undefined || text === "") return mode === "dev" ? ["*"] : [];
  const origins = text.split(",").map((part) => part.trim());
  for (const origin of origins) {
    if (origin !== "*" && URL.parse(origin)?.origin !== origin) {
      problems.push({
        path: "PYLON_CORS_ORIGIN",
        message: `Not an origin such as https://app.example.com: ${JSON.stringify(origin)}`,
      });
    }
  }
  return origins;
}

function readAdminToken(env: Env, problems: Problem[]): string | null {
  const token = env.PYLON_ADMIN_TOKEN;
  if (token === undefined || token === "") return null;
  // Anything else does not survive the way through a header.
  if (token.length < MIN_TOKEN_CHARS || !/^[\x21-\x7e]+$/.test(token)) {
    problems.push({
      path: "PYLON_ADMIN_TOKEN",
      message: `Expected at least ${MIN_TOKEN_CHARS} visible ASCII characters without spaces`,
    });
  }
  return token;
}

/** How a database server is used. */
export interface DatabaseLimits {
  /** Connections for writers; others come on top. */
  readonly connections: number;
  /** How long a start waits for a server that is away. */
  readonly startWaitMs: number;
  /** The longest that a transaction may stand still: a function may do that as long as it may run. */
  readonly idleTransactionMs: number;
}

/** Beyond the time of a function, for what the transaction does before and after it. */
const TRANSACTION_SPARE_MS = 30_000;

function assertNone(problems: readonly Problem[]): void {
  const first = problems[0];
  if (first) throw coreError("CONFIG_INVALID", { message: `${first.path}: ${first.message}`, details: problems });
}

/** @throws CONFIG_INVALID with every problem. */
export function readDatabaseLimits(env: Env): DatabaseLimits {
  const problems: Problem[] = [];
  const limits: DatabaseLimits = {
    connections: readNumber(env, DB_CONNECTIONS, problems),
    startWaitMs: readNumber(env, DB_WAIT, problems) * 1_000,
    idleTransactionMs: readNumber(env, FN_TIMEOUT, problems) + TRANSACTION_SPARE_MS,
  };
  assertNone(problems);
  return limits;
}

/** @throws CONFIG_INVALID with every problem. */
export function readSettings(env: Env, mode: Mode): Settings {
  const problems: Problem[] = [];
  const settings: Settings = {
    adminToken: readAdminToken(env, problems),
    corsOrigins: readOrigins(env, mode, problems),
    maxBodyBytes: readNumber(env, MAX_BODY, problems),
    functionTimeoutMs: readNumber(env, FN_TIMEOUT, problems),
    drainMs: readNumber(env, DRAIN, problems) * 1_000,
    logRequests: readSwitch(env, "PYLON_LOG_REQUESTS", problems),
    runJobs: readSwitch(env, "PYLON_JOBS", problems),
  };
  assertNone(problems);
  return settings;
}
