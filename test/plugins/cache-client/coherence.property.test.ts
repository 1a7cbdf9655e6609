// Near caches under any interleaving: requests, answers and messages of several replicas are carried in every order that a
// network allows, each connection keeping its own. When all have arrived, nobody near answers what the server would not.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers";
import fc from "fast-check";
import type { SharedServer, SharedWrite } from "../../../src/cache/shared-server.ts";
import { createVirtualClock } from "../../../src/core/clock.ts";
import { Shard } from "../../../src/plugins/cache-client/shard.ts";
import { SharedCache } from "../../../src/plugins/cache-client/shared-cache.ts";

type Step = () => void;

/** What one replica has under way; each queue keeps its order. */
interface Connection {
  readonly requests: Step[];
  readonly answers: Step[];
  readonly messages: Step[];
  receive(text: string): void;
}

/** A server in memory that does what it is asked when the request is carried to it. */
class FakeServer {
  readonly texts = new Map<string, string>();
  readonly connections: Connection[] = [];

  connect(receive: (text: string) => void): SharedServer {
    const connection: Connection = { requests: [], answers: [], messages: [], receive };
    this.connections.push(connection);
    const ask = <T>(work: () => T): Promise<T> =>
      new Promise((resolve) => {
        connection.requests.push(() => {
          const answer = work();
          connection.answers.push(() => resolve(answer));
        });
      });
    return {
      hasBus: true,
      read: (names) => ask(() => names.map((name) => this.texts.get(name) ?? null)),
      write: (writes) => ask(() => writes.forEach((write) => this.#apply(write))),
      count: (name, initial) =>
        ask(() => {
          const counted = Number(this.texts.get(name) ?? initial) + 1;
          this.texts.set(name, String(counted));
          return counted;
        }),
      close: () => Promise.resolve(),
    };
  }

  /** What could happen next. */
  queues(): Step[][] {
    return this.connections
      .flatMap(({ requests, answers, messages }) => [requests, answers, messages])
      .filter((queue) => queue.length > 0);
  }

  #apply(write: SharedWrite): void {
    if (write.op === "publish") {
      for (const { messages, receive } of this.connections) messages.push(() => receive(write.text));
    } else if (write.op === "remove") this.texts.delete(write.name);
    else if (write.op === "append") this.texts.set(write.name, (this.texts.get(write.name) ?? "") + write.text);
    else if (write.op === "set" || !this.texts.has(write.name)) this.texts.set(write.name, write.text);
  }
}

/** Promises that follow from a step are done. */
const rest = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

async function carry(server: FakeServer, choice: number): Promise<boolean> {
  const queues = server.queues();
  const step = queues[choice % Math.max(1, queues.length)]?.shift();
  step?.();
  await rest();
  return step !== undefined;
}

async function carryAll(server: FakeServer): Promise<void> {
  while (await carry(server, 0));
}

async function openReplica(server: FakeServer, origin: string): Promise<SharedCache> {
  const clock = createVirtualClock();
  let up: () => void = () => undefined;
  const shard: Shard = new Shard({
    connect(events) {
      up = events.onUp;
      return Promise.resolve(server.connect((text) => cache.receive(text)));
    },
    keyPrefix: "",
    maxTtlMs: 1e9,
    origin,
    clock,
    random: () => 0.5,
    onChange: () => undefined,
  });
  const cache: SharedCache = new SharedCache({
    shardOf: () => shard,
    shards: [shard],
    origin,
    clock,
    defaultTtlSecs: 1_000,
    maxTtlMs: 1e9,
    maxEntries: 1_000,
    maxBytes: Infinity,
    hasBus: true,
    nearTtlMs: Infinity,
  });
  await shard.open();
  cache.connected();
  up();
  await rest();
  await carryAll(server);
  return cache;
}

const KEYS = ["a", "ab", "b"];
const call = fc.record({
  replica: fc.nat({ max: 2 }),
  kind: fc.constantFrom("set", "set", "delete", "invalidate", "get", "fetch", "fetch"),
  key: fc.constantFrom(...KEYS),
  /** What is carried before the next call. */
  choices: fc.array(fc.nat({ max: 50 }), { maxLength: 6 }),
});

describe("replicas under any interleaving", () => {
  it("answer near what the server answers, or nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(call, { maxLength: 40 }), async (script) => {
        const server = new FakeServer();
        const replicas: SharedCache[] = [];
        for (const origin of ["a", "b", "c"]) replicas.push(await openReplica(server, origin));
        const loading: Promise<unknown>[] = [];
        for (const [index, { replica, kind, key, choices }] of script.entries()) {
          const cache = replicas[replica] as SharedCache;
          if (kind === "set") cache.set(key, `set ${index}`);
          else if (kind === "delete") cache.delete(key);
          else if (kind === "invalidate") cache.invalidate(key);
          else if (kind === "get") cache.get(key);
          else loading.push(cache.fetch(key, () => `loaded ${index}`));
          await rest();
          for (const choice of choices) await carry(server, choice);
        }
        await carryAll(server);
        await Promise.all(loading);
        await carryAll(server);
        const judge = await openReplica(server, "judge");
        for (const key of KEYS) {
          const asked = judge.fetch<string | undefined>(key, () => undefined);
          await rest();
          await carryAll(server);
          const truth = await asked;
          for (const cache of replicas) {
            const near = cache.get(key);
            assert.ok(near === undefined || near === truth, `${key}: ${String(near)} near, ${truth} on the server`);
          }
          await carryAll(server);
        }
        for (const cache of replicas) assert.equal(cache.stats().lost, 0);
      }),
      { numRuns: 150 },
    );
  });
});
