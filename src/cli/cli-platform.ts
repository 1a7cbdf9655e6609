// What the commands need from the runtime, in the shape in which they use it. The entry of the program hands one in.

import type { Log } from "../core/log.ts";
import type { FunctionDefinitions } from "../functions/define.ts";
import type { PluginEntry } from "../manifest/merge.ts";
import type { AuditSource } from "../plugins/audit-log/audit-source.ts";
import type { Platform } from "../pylon.ts";
import type { Sdk } from "../sdk/sdk.ts";
import type { Store } from "../store/store.ts";
import type { Database } from "./database.ts";

/** Standard output or standard error. */
export interface Terminal {
  write(text: string): void;
  /** A person is looking. */
  readonly isTTY: boolean;
}

/** Why an application does not load. Line and column count from 1. */
export interface AppProblem {
  readonly file: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly message: string;
}

export interface AppSourceOptions {
  readonly dir: string;
  readonly sdk: Sdk;
  /** Hears what application code throws where nobody waits for it. */
  readonly onUncaught: (error: unknown) => void;
}

/** An application as loaded from its folder; see `src/platform/load-app-bun.ts`. */
export interface AppSource {
  readonly manifests: readonly { readonly file: string; readonly value: unknown }[];
  readonly plugins: readonly PluginEntry[];
  readonly functions: FunctionDefinitions;
  readonly problems: readonly AppProblem[];
  /** From now on the application and its packages have this as `fetch`; until then the platform's. */
  bindFetch(fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>): void;
  idle(): Promise<void>;
  dispose(): void;
}

export interface WatchAppOptions {
  readonly dir: string;
  readonly onChange: (paths: readonly string[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
  readonly ignore: (path: string) => boolean;
}

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  readonly fetch: (request: Request, peerOf: () => string | null) => Promise<Response>;
  readonly onError: (error: unknown) => void;
}

export interface Listener {
  readonly port: number;
  /** Accepts no more connections; resolves when the last answer is out. */
  stop(): Promise<void>;
  cut(): Promise<void>;
}

/** A database server is not there yet. */
export interface WaitingNews {
  readonly reason: string;
  readonly nextTryMs: number;
}

export type LogFormat = "text" | "json";

export interface FlushableLog extends Log {
  flush(): void;
}

export interface CliPlatform {
  /** The environment of the process. `dev` adds what it reads from files. */
  readonly env: Record<string, string | undefined>;
  /** An absolute path. */
  readonly cwd: string;
  readonly pid: number;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** What an instance runs on. */
  openRuntime(): Promise<Platform>;
  /** Opens a SQLite file, or connects to a server, for which it waits; `onWaiting` hears of each try that failed. */
  openStore(database: Database, onWaiting: (news: WaitingNews) => void): Promise<Store>;
  /** Copies a SQLite database, which others may be writing, into an empty file. @throws as `copyDatabase` does */
  copyDatabase(from: string, to: string): Promise<void>;
  /** Reads the audit log of a SQLite file, which others may be writing, as it is at this moment. */
  openAuditFile(path: string): Promise<{ readonly source: AuditSource; close(): void }>;
  loadApp(options: AppSourceOptions): Promise<AppSource>;
  watchApp(options: WatchAppOptions): Promise<{ close(): void }>;
  /** @throws an error whose `code` is EADDRINUSE, EADDRNOTAVAIL or EACCES */
  listen(options: ListenerOptions): Promise<Listener>;
  /** A log on standard output, flushed when the process ends. */
  openLog(options: { readonly format: LogFormat; readonly colour: boolean }): Promise<FlushableLog>;
  /** Calls `listener` at each SIGTERM and SIGINT instead of ending the process. */
  onStopSignal(listener: () => void): void;
  /** Ends the process, whatever still runs. */
  exit(code: number): never;
}
