// Processes beside a benchmark or the demo: started, talked to over their standard output line by line, always ended.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Child {
  readonly pid: number;
  /** The next line of output that starts with `prefix`, without it. Rejects when the process ends first. */
  line(prefix: string): Promise<string>;
  send(text: string): void;
  /** Ends the process and waits for it. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

export function startChild(command: readonly string[], options: ChildOptions = {}): Child {
  const child = Bun.spawn([...command], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  });
  const lines: string[] = [];
  const waiting: (() => void)[] = [];
  const wake = (): void => {
    for (const resume of waiting.splice(0)) resume();
  };
  // What it said last, for the reader of a failure.
  const complaints: string[] = [];
  void (async () => {
    for await (const line of linesOf(child.stderr)) complaints.splice(0, Math.max(0, complaints.push(line) - 20));
  })();
  void (async () => {
    for await (const line of linesOf(child.stdout)) {
      lines.push(line);
      wake();
    }
  })();
  void child.exited.then(wake);
  return {
    pid: child.pid,
    async line(prefix) {
      for (;;) {
        const index = lines.findIndex((line) => line.startsWith(prefix));
        if (index >= 0) return (lines.splice(0, index + 1).pop() ?? "").slice(prefix.length);
        if (child.exitCode !== null) {
          throw new Error([`${command.join(" ")} ended with ${child.exitCode}`, ...complaints].join("\n"));
        }
        await new Promise<void>((resolve) => {
          waiting.push(resolve);
        });
      }
    },
    send(text) {
      void child.stdin.write(`${text}\n`);
      void child.stdin.flush();
    },
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      await child.exited;
    },
  };
}

/** Runs a TypeScript file with this Bun. */
export function startScript(file: string, args: readonly string[] = [], options: ChildOptions = {}): Child {
  return startChild([process.execPath, file, ...args], options);
}

/** Runs `use` with a folder that is gone afterwards. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "pylon-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
