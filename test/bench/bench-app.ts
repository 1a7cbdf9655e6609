// The application under measurement, served by the compiled binary with SQLite and full durability.

import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startChild, startScript, type Child } from "../support/child.ts";

const ROOT = join(import.meta.dir, "..", "..");
const FIXTURE = join(ROOT, "fixtures", "apps", "bench");
export const BINARY: string = join(ROOT, "dist", "pylon");
const ADMIN_TOKEN = "bench-admin-token";

/** The scripts of this folder, by file name. */
export function script(name: string, args: readonly string[] = []): Child {
  return startScript(join(import.meta.dir, name), args);
}

export interface BenchApp {
  readonly pylon: Child;
  readonly port: number;
  /** The header of a signed-in user whom the policy lets insert. */
  readonly authorization: string;
}

export interface BenchAppOptions {
  readonly folder: string;
  readonly receiverPort: number;
  /** @default on */
  readonly jobs?: "on" | "off";
  /** `postgres://…`. @default a SQLite file in the folder */
  readonly database?: string;
  /** Whether orders leave signed entries in the audit log. @default false */
  readonly audited?: boolean;
}

const AUDIT = {
  name: "audit_log",
  config: { entities: ["Order"], sign_entries: true, signing_key_env: "BENCH_SECRET" },
};

function writeApp({ folder, receiverPort, audited = false }: BenchAppOptions): void {
  cpSync(FIXTURE, folder, { recursive: true });
  const file = join(folder, "pylon.manifest.json");
  const text = readFileSync(file, "utf8").replace("127.0.0.1:4399", `127.0.0.1:${receiverPort}`);
  const manifest = JSON.parse(text) as { plugins: object[] };
  if (audited) manifest.plugins.push(AUDIT);
  writeFileSync(file, JSON.stringify(manifest));
}

async function signIn(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/api/auth/session`, {
    method: "POST",
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ user_id: "user_1" }),
  });
  const { token } = (await response.json()) as { token: string };
  return `Bearer ${token}`;
}

/** The environment of the server; requests are logged to a file, as they would be in production. */
export function serverEnv(jobs: "on" | "off" = "on", database?: string): Record<string, string> {
  return {
    ...(database === undefined ? {} : { DATABASE_URL: database }),
    PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
    BENCH_SECRET: "bench-secret-of-the-hook",
    PYLON_LOG_FORMAT: "json",
    PYLON_HOST: "127.0.0.1",
    PYLON_JOBS: jobs,
  };
}

export async function startBenchApp(options: BenchAppOptions): Promise<BenchApp> {
  if (!existsSync(BINARY)) throw new Error("There is no dist/pylon: run `bun run build.ts` first");
  writeApp(options);
  const pylon = startChild([BINARY, "serve", options.folder, "--port", "0"], {
    env: serverEnv(options.jobs, options.database),
  });
  const { url } = JSON.parse(`{"event":"listening"${await pylon.line('{"event":"listening"')}`) as { url: string };
  const port = Number(new URL(url).port);
  return { pylon, port, authorization: await signIn(port) };
}

/** `delayMs`: what it takes to answer. */
export async function startReceiver(delayMs = 0): Promise<{ readonly receiver: Child; readonly port: number }> {
  const receiver = script("receiver.ts", ["0", String(delayMs)]);
  return { receiver, port: Number(await receiver.line("listening ")) };
}

export interface Load {
  readonly perSecond: number;
  readonly answered: number;
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
}

export interface LoadPlan {
  readonly port: number;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  readonly authorization?: string;
  readonly rate?: number;
}

const ORDER = JSON.stringify({ customerId: "user_1", total: 1_299, paid: false, note: "two boxes" });

/** Runs the load generator to its end. */
export async function runLoad(plan: LoadPlan): Promise<Load> {
  const { authorization, ...rest } = plan;
  const headers = authorization === undefined ? {} : { authorization };
  const load = script("load.ts", [JSON.stringify({ ...rest, headers, body: ORDER })]);
  return JSON.parse(await load.line("result ")) as Load;
}

export const ORDERS_PATH = "/api/entities/Order";
