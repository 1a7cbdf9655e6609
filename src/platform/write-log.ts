// A log on a file descriptor: JSON lines for machines, aligned text for people. Lines are gathered and written once per
// macrotask, because at thousands of requests a second a system call per line would cost more than the line.

import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";
import type { Json } from "../core/json.ts";
import type { Log, LogFields } from "../core/log.ts";
import { renderTextLine } from "./log-text.ts";

export type LogFormat = "text" | "json";
export type LogLevel = "info" | "warn" | "error";

export interface WriteLogOptions {
  readonly format: LogFormat;
  /** Only of `text`. */
  readonly colour: boolean;
  /** Takes bytes and answers how many it took; throws an error whose code is EAGAIN when it can take none now. */
  readonly write: (bytes: Uint8Array) => number;
  /** Epoch milliseconds. @default Date.now */
  readonly now?: () => number;
}

export interface WriteLog extends Log {
  /** Writes what is waiting, now. To be called before the process ends. */
  flush(): void;
}

/** A reader that is slower than this falls behind for good, and the lines it will not see must not fill the memory. */
const MAX_WAITING_BYTES = 16 * 2 ** 20;
const RETRY_MS = 20;
/** How long `flush` waits for a reader that takes nothing. */
const FLUSH_WAIT_MS = 1_000;

/** Writes to a file descriptor; 1 is standard output. */
export function toDescriptor(descriptor: number): (bytes: Uint8Array) => number {
  return (bytes) => writeSync(descriptor, bytes);
}

/** ISO 8601; made once for all lines of a millisecond. */
function createTimestamp(now: () => number): () => string {
  let lastMs = Number.NaN;
  let text = "";
  return () => {
    const ms = now();
    if (ms !== lastMs) {
      lastMs = ms;
      text = new Date(ms).toISOString();
    }
    return text;
  };
}

function renderJsonLine(level: LogLevel, event: string, time: string, fields: LogFields): string {
  const own: Record<string, Json | undefined> = { event, level, time };
  return JSON.stringify({ ...own, ...fields, ...own });
}

interface Spool {
  add(line: string): void;
  flush(): void;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Waits without giving way to anything else: the process is about to end. */
function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** `renderDropped` makes the line that stands for the ones that were left out. */
function createSpool(write: (bytes: Uint8Array) => number, renderDropped: (count: number) => string): Spool {
  let lines: string[] = [];
  let waiting: Uint8Array = new Uint8Array();
  let dropped = 0;
  let isScheduled = false;
  let isBroken = false;

  const gather = (): void => {
    if (waiting.length === 0 && dropped > 0) {
      lines.unshift(renderDropped(dropped));
      dropped = 0;
    }
    if (lines.length === 0) return;
    const added = Buffer.from(`${lines.join("\n")}\n`);
    const fits = waiting.length + added.length <= MAX_WAITING_BYTES;
    if (!fits) dropped += lines.length;
    lines = [];
    if (fits) waiting = waiting.length === 0 ? added : Buffer.concat([waiting, added]);
  };
  /** Whether everything is out, or will never be. */
  const drain = (): boolean => {
    gather();
    try {
      while (waiting.length > 0) waiting = waiting.subarray(write(waiting));
      return true;
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return false;
      // The reader is gone. What is served does not depend on somebody reading the log.
      isBroken = true;
      waiting = new Uint8Array();
      return true;
    }
  };
  const run = (): void => {
    isScheduled = drain() ? false : (setTimeout(run, RETRY_MS), true);
  };
  return {
    add(line) {
      if (isBroken) return;
      lines.push(line);
      if (isScheduled) return;
      isScheduled = true;
      setImmediate(run);
    },
    flush() {
      for (let waitedMs = 0; !drain() && waitedMs < FLUSH_WAIT_MS; waitedMs += RETRY_MS) pause(RETRY_MS);
    },
  };
}

export function createWriteLog({ format, colour, write, now = Date.now }: WriteLogOptions): WriteLog {
  const timestamp = createTimestamp(now);
  const render =
    format === "json"
      ? renderJsonLine
      : (level: LogLevel, event: string, time: string, fields: LogFields): string =>
          renderTextLine({ level, event, time, fields, colour });
  const spool = createSpool(write, (count) => render("warn", "log.dropped", timestamp(), { lines: count }));
  const at =
    (level: LogLevel) =>
    (event: string, fields: LogFields = {}): void =>
      spool.add(render(level, event, timestamp(), fields));
  return { info: at("info"), warn: at("warn"), error: at("error"), flush: () => spool.flush() };
}
