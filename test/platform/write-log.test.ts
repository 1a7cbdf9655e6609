// A log that is written in gathered pieces: what is in a line, what a slow or a lost reader does, and that nothing is lost
// at the end.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createWriteLog, type WriteLog } from "../../src/platform/write-log.ts";

interface Reader {
  readonly log: WriteLog;
  /** What has arrived. */
  text(): string;
  /** How often something was written. */
  writes(): number;
  /** How often it was asked to take something. */
  asked(): number;
  /** From now on takes at most so many bytes at a time; 0: nothing now; null: it is gone. */
  take(maxBytes: number | null): void;
}

const TIME = Date.UTC(2026, 10, 21, 12, 30, 15, 250);

function createReader(options: { format?: "text" | "json"; colour?: boolean; now?: () => number } = {}): Reader {
  const { format = "json", colour = false, now = () => TIME } = options;
  const chunks: Uint8Array[] = [];
  let max: number | null = Number.POSITIVE_INFINITY;
  let asked = 0;
  const write = (bytes: Uint8Array): number => {
    asked += 1;
    if (max === null) throw Object.assign(new Error("gone"), { code: "EPIPE" });
    if (max === 0) throw Object.assign(new Error("later"), { code: "EAGAIN" });
    chunks.push(bytes.slice(0, max));
    return Math.min(bytes.length, max);
  };
  return {
    log: createWriteLog({ format, colour, write, now }),
    text: () => Buffer.concat(chunks).toString(),
    writes: () => chunks.length,
    asked: () => asked,
    take(maxBytes) {
      max = maxBytes;
    },
  };
}

const macrotask = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe("a JSON line", () => {
  test("begins with its event, level and time, which no field replaces", () => {
    const { log, text } = createReader();
    log.warn("job.failed", { time: "never", attempt: 2, level: "x", event: "y", gone: undefined, list: [1, null] });
    log.flush();
    expect(text()).toBe(
      '{"event":"job.failed","level":"warn","time":"2026-11-21T12:30:15.250Z","attempt":2,"list":[1,null]}\n',
    );
  });

  test("stays one line whatever is in it", () => {
    const { log, text } = createReader();
    log.error("x", { message: "a\nb\r\u2028\u001b[2J" });
    log.flush();
    expect(text().split("\n")).toHaveLength(2);
    expect(JSON.parse(text())).toMatchObject({ message: "a\nb\r\u2028\u001b[2J" });
  });

  test("carries the time at which it was logged", () => {
    let now = TIME;
    const { log, text } = createReader({ now: () => now });
    log.info("one");
    now += 5;
    log.info("two");
    log.flush();
    expect(text()).toContain('{"event":"one","level":"info","time":"2026-11-21T12:30:15.250Z"}');
    expect(text()).toContain('{"event":"two","level":"info","time":"2026-11-21T12:30:15.255Z"}');
  });
});

describe("writing", () => {
  test("takes one call for all lines of a macrotask, and keeps their order", async () => {
    const { log, text, writes } = createReader();
    for (let i = 0; i < 1_000; i++) log.info("line", { i });
    expect(writes()).toBe(0);
    await macrotask();
    expect(writes()).toBe(1);
    const lines = text().trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { i: number }).i)).toEqual(
      Array.from({ length: 1_000 }, (_, i) => i),
    );
    log.info("later");
    await macrotask();
    expect(writes()).toBe(2);
  });

  test("goes on where a reader stopped that took a part", async () => {
    const { log, text, take } = createReader();
    take(7);
    log.info("first", { text: "äöü€😀" });
    await macrotask();
    expect(JSON.parse(text())).toMatchObject({ text: "äöü€😀" });
  });

  test("keeps what a reader cannot take now, and gives it when it can", async () => {
    const { log, text, take } = createReader();
    take(0);
    log.info("one");
    await macrotask();
    log.info("two");
    expect(text()).toBe("");
    take(Number.POSITIVE_INFINITY);
    while (text() === "") await macrotask();
    expect(text().match(/one|two/g)).toEqual(["one", "two"]);
  });

  test("flush waits for such a reader, and gives up on one that never takes anything", () => {
    const { log, text, take } = createReader();
    take(0);
    log.info("lost");
    const startedMs = performance.now();
    log.flush();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect(text()).toBe("");
  });

  test("keeps at most 16 MiB for such a reader, and says how many lines are missing", async () => {
    const { log, text, take, asked } = createReader();
    take(0);
    const filler = "x".repeat(1_000_000);
    log.info("first");
    await macrotask();
    for (let i = 0; i < 20; i++) {
      log.info("big", { i, filler });
      const before = asked();
      while (asked() === before) await macrotask();
    }
    take(Number.POSITIVE_INFINITY);
    log.flush();
    log.info("end");
    log.flush();
    const events = text()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string; lines?: number });
    const kept = events.filter(({ event }) => event === "big").length;
    expect(kept).toBe(16);
    expect(events.find(({ event }) => event === "log.dropped")?.lines).toBe(20 - kept);
    expect(events.at(-1)?.event).toBe("end");
  }, 60_000);

  test("does nothing any more when the reader is gone", async () => {
    const { log, take, text } = createReader();
    take(null);
    log.info("one");
    await macrotask();
    take(Number.POSITIVE_INFINITY);
    log.info("two");
    log.flush();
    expect(text()).toBe("");
  });
});

describe("a process that logs", () => {
  async function run(body: string): Promise<{ readonly stdout: string; readonly exitCode: number }> {
    const file = join(import.meta.dir, "../../src/platform/write-log.ts");
    const script = `
      import { createWriteLog, toDescriptor } from ${JSON.stringify(file)};
      const log = createWriteLog({ format: "json", colour: false, write: toDescriptor(1) });
      process.on("exit", () => log.flush());
      ${body}`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit", stdin: "ignore" });
    return { stdout: await new Response(child.stdout).text(), exitCode: await child.exited };
  }

  test("loses nothing when it exits at once, however much it is", async () => {
    const { stdout, exitCode } = await run(
      `for (let i = 0; i < 20_000; i++) log.info("line", { i, text: "x".repeat(80) }); process.exit(3);`,
    );
    expect(exitCode).toBe(3);
    expect(stdout.trimEnd().split("\n")).toHaveLength(20_000);
    expect(JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "")).toMatchObject({ i: 19_999 });
  });

  test("ends by itself when there is nothing else to do", async () => {
    const { stdout, exitCode } = await run(`log.info("only");`);
    expect({ exitCode, event: (JSON.parse(stdout) as { event: string }).event }).toEqual({
      exitCode: 0,
      event: "only",
    });
  });
});
