// One Memcached server as a shared server, through the connections of the `memcache` package. Its own client hides failures
// and shares no connection attempt, so connecting, deadlines and keys are ours.

import { createHash } from "node:crypto";
import { createNode, type MemcacheNode } from "memcache";
import type { SharedServer, SharedServerOptions, SharedWrite } from "../cache/shared-server.ts";
import { CONNECT_TIMEOUT_MS, reasonOf, reconnectDelayMs, serverRefusal, withDeadline } from "./server-failure.ts";

/** The server takes 250 bytes without spaces and control characters; what does not fit is known by its hash. */
const PLAIN_NAME = /^[!-~]{1,200}$/;
/** The library ends a connection that says nothing for this long; ours may be silent for days. */
const NEVER_MS = 2 ** 31 - 1;

function toKey(name: string): string {
  return PLAIN_NAME.test(name) ? name : `#${createHash("sha256").update(name).digest("hex")}`;
}

function storeCommand(verb: string, name: string, { text, ttlMs = 0 }: { text: string; ttlMs?: number }): string {
  return `${verb} ${toKey(name)} 0 ${Math.ceil(ttlMs / 1_000)} ${Buffer.byteLength(text)}\r\n${text}`;
}

const COMMANDS: {
  readonly [Op in Exclude<SharedWrite["op"], "publish">]: (write: Extract<SharedWrite, { op: Op }>) => string;
} = {
  set: (write) => storeCommand("set", write.name, write),
  add: ({ name, text }) => storeCommand("add", name, { text }),
  append: ({ name, text }) => storeCommand("append", name, { text }),
  remove: ({ name }) => `delete ${toKey(name)}`,
};

interface Found {
  readonly values?: readonly string[];
  readonly foundKeys?: readonly string[];
}

class MemcachedServer implements SharedServer {
  readonly hasBus = false;
  readonly #options: SharedServerOptions;
  #node: MemcacheNode | undefined;
  #attempt = 0;
  #isClosed = false;
  #cancelRetry: () => void = () => undefined;

  constructor(options: SharedServerOptions) {
    this.#options = options;
    void this.#connect();
  }

  async read(names: readonly string[]): Promise<readonly (string | null)[]> {
    const keys = names.map(toKey);
    const found = (await this.#send(`get ${keys.join(" ")}`, keys)) as Found;
    const texts = new Map(found.foundKeys?.map((key, i) => [key, found.values?.[i] ?? null]));
    return keys.map((key) => texts.get(key) ?? null);
  }

  async write(writes: readonly SharedWrite[]): Promise<void> {
    for (const write of writes) {
      if (write.op !== "publish") await this.#send(COMMANDS[write.op](write as never));
    }
  }

  async count(name: string, initial: number): Promise<number> {
    const command = `incr ${toKey(name)} 1`;
    const counted = await this.#send(command);
    if (typeof counted === "number") return counted;
    await this.#send(storeCommand("add", name, { text: String(initial) }));
    const again = await this.#send(command);
    if (typeof again === "number") return again;
    throw serverRefusal("COUNT");
  }

  close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelRetry();
    const node = this.#node;
    this.#node = undefined;
    return node?.disconnect() ?? Promise.resolve();
  }

  /** One command on the current connection. A connection that owes an answer is given up: the next would read it. */
  async #send(command: string, requestedKeys?: string[]): Promise<unknown> {
    const node = this.#node;
    if (!node) throw new Error("The cache server cannot be reached");
    const { timeoutMs, clock } = this.#options;
    try {
      const read = requestedKeys && { isMultiline: true, requestedKeys };
      return await withDeadline(node.command(command, read), timeoutMs, clock);
    } catch (error) {
      const refusal =
        error instanceof Error ? /^(SERVER_ERROR|CLIENT_ERROR|ERROR)\b/.exec(error.message)?.[1] : undefined;
      if (refusal !== undefined) throw serverRefusal(refusal);
      this.#lose(node, "TIMEOUT");
      throw new Error("The cache server cannot be reached", { cause: error });
    }
  }

  /** Every connection is an object of its own: the library keeps half-read answers beyond the end of a connection. */
  async #connect(): Promise<void> {
    const { host, port, tls, clock } = this.#options;
    const node = createNode(host, port, { timeout: NEVER_MS, ...(tls ? { tls: { host, servername: host } } : {}) });
    let reason = "CLOSED";
    node.on("error", (error: unknown) => {
      reason = reasonOf(error);
    });
    node.on("close", () => this.#lose(node, reason));
    try {
      await withDeadline(node.connect(), CONNECT_TIMEOUT_MS, clock);
    } catch {
      await node.disconnect();
      return this.#retry(reason);
    }
    if (this.#isClosed) return node.disconnect();
    this.#node = node;
    this.#attempt = 0;
    this.#options.onUp();
  }

  #lose(node: MemcacheNode, reason: string): void {
    if (this.#node !== node) return;
    this.#node = undefined;
    void node.disconnect();
    this.#retry(reason);
  }

  #retry(reason: string): void {
    if (this.#isClosed) return;
    this.#options.onDown(reason);
    const { clock, random } = this.#options;
    this.#cancelRetry = clock.setTimer(reconnectDelayMs(++this.#attempt, random), () => void this.#connect());
  }
}

export async function openMemcachedServer(options: SharedServerOptions): Promise<SharedServer> {
  return new MemcachedServer(options);
}
