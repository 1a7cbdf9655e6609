// A Pylon that runs beside a test, as the compiled binary with an environment of its own. Tests wait for what it prints,
// never for time.

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PYLON_BINARY } from "../support/pylon-binary.ts";
import { createTempDir } from "../support/temp-dir.ts";

export const ADMIN_TOKEN = "the-admin-token-of-the-tests";

/** Longer than anything takes on a busy machine; a Pylon that hangs fails its test with what it printed. */
const PATIENCE_MS = 20_000;

export interface Stopped {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningPylon {
  readonly pid: number;
  /** What it has printed so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** Waits until `find` finds something in what was printed, and answers it. */
  seen<T>(
    find: (output: { readonly stdout: string; readonly stderr: string }) => T | undefined | null | false,
  ): Promise<T>;
  /** Where it answers; waits for its `listening` line (PYLON_LOG_FORMAT=json). */
  url(): Promise<string>;
  signal(name: NodeJS.Signals): void;
  ended(): Promise<Stopped>;
  /** SIGTERM, and what came of it. */
  stop(): Promise<Stopped>;
}

const running = new Set<RunningPylon>();

async function collect(stream: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) add(decoder.decode(chunk, { stream: true }));
}

/** The events that complete JSON lines hold. */
export function eventsOf(stdout: string): readonly Readonly<Record<string, unknown>>[] {
  return stdout
    .slice(0, stdout.lastIndexOf("\n") + 1)
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

export interface StartOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function startPylon(args: readonly string[], { cwd, env = {} }: StartOptions): RunningPylon {
  const child = Bun.spawn([PYLON_BINARY, ...args], {
    cwd,
    env: { PATH: process.env["PATH"], HOME: cwd, PYLON_LOG_FORMAT: "json", ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let [stdout, stderr] = ["", ""];
  let wake = Promise.withResolvers<void>();
  const news = (): void => {
    wake.resolve();
    wake = Promise.withResolvers<void>();
  };
  const reading = Promise.all([
    collect(child.stdout, (text) => {
      stdout += text;
      news();
    }),
    collect(child.stderr, (text) => {
      stderr += text;
      news();
    }),
  ]).then(news);
  const output = (): { stdout: string; stderr: string } => ({ stdout, stderr });
  const late = (): Error => new Error(`Not seen in time. stdout:\n${stdout}\nstderr:\n${stderr}`);
  const pylon: RunningPylon = {
    pid: child.pid,
    output,
    async seen(find) {
      const deadline = Promise.withResolvers<never>();
      deadline.promise.catch(() => undefined);
      const timer = setTimeout(() => deadline.reject(late()), PATIENCE_MS);
      try {
        for (;;) {
          const next = wake.promise;
          const found = find(output());
          if (found !== undefined && found !== null && found !== false) return found;
          if (child.exitCode !== null) throw late();
          await Promise.race([next, deadline.promise]);
        }
      } finally {
        clearTimeout(timer);
      }
    },
    url: () =>
      pylon.seen(({ stdout }) => {
        const event = eventsOf(stdout).find(({ event }) => event === "listening");
        return event && String(event.url);
      }),
    signal: (name) => child.kill(name),
    async ended() {
      const exitCode = await child.exited;
      await reading;
      running.delete(pylon);
      return { exitCode, stdout, stderr };
    },
    stop() {
      child.kill("SIGTERM");
      return pylon.ended();
    },
  };
  running.add(pylon);
  return pylon;
}

/** Ends what a failed test left. */
export async function endPylons(): Promise<void> {
  for (const pylon of running) {
    pylon.signal("SIGKILL");
    await pylon.ended();
  }
}

export interface AppDir {
  readonly dir: string;
  /** Writes files, given by their path in the folder. */
  write(files: Readonly<Record<string, string>>): void;
  remove(): Promise<void>;
}

export async function createAppDir(files: Readonly<Record<string, string>> = {}): Promise<AppDir> {
  const temp = await createTempDir("pylon-cli-");
  const write = (files: Readonly<Record<string, string>>): void => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(temp.path, path)), { recursive: true });
      writeFileSync(join(temp.path, path), text);
    }
  };
  write(files);
  return { dir: temp.path, write, remove: () => temp.remove() };
}

/** Of `pylon serve`, on a free port of this machine alone. */
export const SERVE_ENV = { PYLON_ADMIN_TOKEN: ADMIN_TOKEN, PYLON_HOST: "127.0.0.1", PYLON_PORT: "0" };

/** A manifest with the entity Order; a type that ends in `?` is optional. */
export function manifest(fields: Readonly<Record<string, string>>, more: object = {}): string {
  return JSON.stringify({
    manifest_version: 1,
    name: "shop",
    entities: [
      {
        name: "Order",
        fields: Object.entries(fields).map(([name, type]) => ({
          name,
          type: type.replace("?", ""),
          optional: type.endsWith("?"),
        })),
      },
    ],
    ...more,
  });
}

/** The source of a function. */
export function fn(kind: "query" | "mutation" | "action", handler: string): string {
  return `import { ${kind} } from "@pylonsync/functions";\nexport default ${kind}({ handler: ${handler} });\n`;
}

/** The files of a small application. */
export const SHOP = { "pylon.manifest.json": manifest({ customer: "string", total: "int", note: "string?" }) };

export interface Answer {
  readonly status: number;
  readonly json: unknown;
}

export async function post(url: string, path: string, body: unknown, token: string = ADMIN_TOKEN): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}
