// A real redis-server or memcached for a test: started on a free port, frozen and killed at will, always gone afterwards. The
// programs are looked for on PATH; without one the test is skipped, which under CI counts as a failure.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createConnection, createServer } from "node:net";
import { delimiter, join } from "node:path";
import process from "node:process";

export type ServerKind = "redis-server" | "memcached";

export interface CacheServer {
  readonly port: number;
  /** `redis://127.0.0.1:PORT` */
  readonly url: string;
  /** SIGSTOP: connections stay open, and nothing answers. */
  freeze(): void;
  thaw(): void;
  /** SIGKILL; what it held is gone. Resolves when the process is. */
  kill(): Promise<void>;
  /** Starts again on the same port. */
  start(): Promise<void>;
  /** Sends one line and answers what comes back, up to the first line break. */
  tell(line: string): Promise<string>;
}

const START_MS = 10_000;

/** Undefined when the program is there; otherwise why the test is skipped. */
export function missing(kind: ServerKind): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/bin"];
  return folders.some((folder) => existsSync(join(folder, kind))) ? undefined : `${kind} is not installed`;
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  if (address === null || typeof address === "string") throw new Error("There is no free port");
  return address.port;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: "127.0.0.1", port });
    const end = (isThere: boolean) => (): void => {
      socket.destroy();
      resolve(isThere);
    };
    socket.on("connect", end(true));
    socket.on("error", end(false));
  });
}

function commandOf(kind: ServerKind, port: number, flags: readonly string[]): string[] {
  if (kind === "memcached") return ["-l", "127.0.0.1", "-p", String(port), "-U", "0", "-u", "root", ...flags];
  return ["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no", ...flags];
}

function tellServer(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ host: "127.0.0.1", port }, () => socket.write(`${line}\r\n`));
    let text = "";
    socket.on("data", (data) => {
      text += String(data);
      // A bulk reply of Redis begins with its length.
      const length = /^\$(\d+)\r\n/.exec(text)?.[1];
      if (length === undefined ? !text.includes("\r\n") : text.length < Number(length)) return;
      socket.destroy();
      resolve(text);
    });
    socket.on("error", reject);
  });
}

/** Runs `use` with a server of its own. */
export async function withServer(
  kind: ServerKind,
  use: (server: CacheServer) => Promise<void>,
  flags: readonly string[] = [],
): Promise<void> {
  const port = await freePort();
  let child: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    const last = child;
    child = undefined;
    if (!last || last.exitCode !== null || last.signalCode !== null) return;
    const gone = new Promise((resolve) => last.once("exit", resolve));
    if (last.pid !== undefined) process.kill(last.pid, "SIGKILL");
    await gone;
  };
  // Deno sends one signal per child and no more.
  const signal = (name: NodeJS.Signals): void => {
    if (child?.pid !== undefined) process.kill(child.pid, name);
  };
  const server: CacheServer = {
    port,
    url: `${kind === "memcached" ? "memcached" : "redis"}://127.0.0.1:${port}`,
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
    kill,
    async start() {
      child = spawn(kind, commandOf(kind, port, flags), {
        stdio: "ignore",
        env: { PATH: `${process.env["PATH"] ?? ""}${delimiter}/usr/sbin` },
      });
      const deadline = Date.now() + START_MS;
      while (!(await answers(port))) {
        if (Date.now() > deadline) throw new Error(`${kind} did not start`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    },
    tell: (line) => tellServer(port, line),
  };
  try {
    await server.start();
    await use(server);
  } finally {
    await kill();
  }
}

const WAIT_MS = 15_000;

/** Asks again until `holds`; rejects with what it saw last when that takes too long. */
export async function until<T>(see: () => T | Promise<T>, holds: (seen: T) => boolean): Promise<T> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const seen = await see();
    if (holds(seen)) return seen;
    if (Date.now() > deadline) throw new Error(`It did not happen; last seen: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
