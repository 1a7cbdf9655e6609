// The compiled binary as a server: started on a free port, killed or stopped, and always ended with the test.

import { tmpdir } from "node:os";
import { join } from "node:path";

import { PYLON_BINARY } from "../support/pylon-binary.ts";

export const ADMIN_TOKEN = "the-admin-token-of-the-tests-0123456789";
export const WEBHOOK_SECRET = "s3cret-ключ";
const APPS = join(import.meta.dir, "../../fixtures/apps");
const START_MS = 20_000;
const STOP_MS = 20_000;
/** Nothing that is asked takes as long; who is not answered by then is left hanging. */
const REQUEST_MS = 20_000;

export interface RunningPylon {
  readonly url: string;
  /** Lines that it wrote, the newest last. */
  readonly lines: readonly string[];
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number>;
  /** Sends a request as the administrator. Rejects when the process is gone, or does not answer. */
  ask(target: string, json?: unknown): Promise<Response>;
}

export interface StartOptions {
  /** A SQLite file, or `postgres://…`. */
  readonly database: string;
  readonly env: Readonly<Record<string, string>>;
  /** A folder of fixtures/apps. @default delivery */
  readonly app?: string;
  /** Hears every line that it writes, from its start. */
  readonly onLine?: (line: string) => void;
}

function urlOf(line: string): string | undefined {
  if (!line.includes('"listening"')) return undefined;
  return (JSON.parse(line) as { readonly url: string }).url;
}

async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
}

/** Starts `pylon serve` on an application of fixtures/apps and waits until it listens. */
export async function startPylon({
  database,
  env,
  app = "delivery",
  onLine: hear,
}: StartOptions): Promise<RunningPylon> {
  const isServer = database.startsWith("postgres://");
  const file = isServer ? [] : ["--db", database];
  const child = Bun.spawn([PYLON_BINARY, "serve", join(APPS, app), "--port", "0", "--host", "127.0.0.1", ...file], {
    env: {
      PATH: process.env["PATH"],
      HOME: tmpdir(),
      ...(isServer ? { DATABASE_URL: database } : {}),
      PYLON_ADMIN_TOKEN: ADMIN_TOKEN,
      PYLON_LOG_FORMAT: "json",
      PYLON_LOG_REQUESTS: "off",
      WEBHOOK_SECRET,
      ...env,
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: string[] = [];
  const { promise: listening, resolve, reject } = Promise.withResolvers<string>();
  const onLine = (line: string): void => {
    lines.push(line);
    hear?.(line);
    const url = urlOf(line);
    if (url !== undefined) resolve(url);
  };
  const read = Promise.all([readLines(child.stdout, onLine), readLines(child.stderr, onLine)]);
  const fail = (what: string): void => reject(new Error(`${what}\n${lines.join("\n")}`));
  void child.exited.then(async (code) => {
    await read;
    fail(`pylon ended with ${code} before it listened`);
  });
  const timer = setTimeout(() => fail(`pylon did not listen within ${START_MS} ms`), START_MS);
  const end = async (signal: NodeJS.Signals, patienceMs: number): Promise<number> => {
    child.kill(signal);
    const cut = setTimeout(() => child.kill("SIGKILL"), patienceMs);
    const code = await child.exited;
    clearTimeout(cut);
    await read;
    return code;
  };
  try {
    const url = await listening;
    return {
      url,
      lines,
      kill: async () => void (await end("SIGKILL", STOP_MS)),
      stop: () => end("SIGTERM", STOP_MS),
      ask(target, json) {
        const [method = "GET", path = "/"] = target.split(" ");
        const headers: Record<string, string> = { authorization: `Bearer ${ADMIN_TOKEN}` };
        const signal = AbortSignal.timeout(REQUEST_MS);
        if (json === undefined) return fetch(`${url}${path}`, { method, headers, signal });
        headers["content-type"] = "application/json";
        return fetch(`${url}${path}`, { method, headers, signal, body: JSON.stringify(json) });
      },
    };
  } catch (error) {
    await end("SIGKILL", STOP_MS);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs `use` with the binary's address and ends it, whatever happens. */
export async function withPylon<T>(options: StartOptions, use: (pylon: RunningPylon) => Promise<T>): Promise<T> {
  const pylon = await startPylon(options);
  try {
    return await use(pylon);
  } finally {
    await pylon.kill();
  }
}

/** Waits until `holds`. Rejects with what was waited for when it does not come. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string),
  patienceMs = 15_000,
): Promise<void> {
  const end = Date.now() + patienceMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`Not within ${patienceMs} ms: ${typeof what === "string" ? what : what()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Deliveries that are not finished yet. */
export async function countUnfinished(pylon: RunningPylon): Promise<number> {
  let count = 0;
  for (const status of ["pending", "failed"]) {
    const response = await pylon.ask(`GET /api/admin/deliveries?status=${status}&limit=200`);
    count += ((await response.json()) as { data: unknown[] }).data.length;
  }
  return count;
}
