// An instance inside another program, on Bun and on Deno: what an embedder relies on, with time and the network in the
// test's hands.

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { readdir } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers";

import {
  app,
  createPylon,
  createVirtualClock,
  entity,
  field,
  isPylonError,
  mutation,
  policy,
  query,
  v,
  type EmbeddedPylon,
  type Json,
  type PylonOptions,
  type VirtualClock,
} from "../../src/mod.ts";
import { openTempSqlite } from "../store/open-temp-sqlite.ts";
import { createTempDir } from "../support/temp-dir.ts";

const ADMIN_TOKEN = "the-admin-token-of-an-embedder";
const START = Date.UTC(2026, 3, 28, 10, 32, 0);

/** Everything here is in this process, so a turn of the event loop is all that any of it ever waits for. */
async function rest(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

interface Sent {
  readonly url: string;
  readonly headers: Headers;
  readonly body: string;
  /** Seconds since START. */
  readonly at: number;
}

interface World {
  readonly clock: VirtualClock;
  readonly sent: Sent[];
  /** Answers what is sent from now on. */
  answer: () => Response;
  readonly transport: (request: Request) => Promise<Response>;
  /** Moves time on, a second at a time, until `done` holds. */
  readonly until: (done: () => boolean, maxSecs: number) => Promise<void>;
}

function createWorld(): World {
  const clock = createVirtualClock(START, rest);
  const sent: Sent[] = [];
  const world: World = {
    clock,
    sent,
    answer: () => new Response(null, { status: 204 }),
    async transport(request) {
      const at = (clock.now() - START) / 1_000;
      sent.push({ url: request.url, headers: request.headers, body: await request.text(), at });
      return world.answer();
    },
    async until(done, maxSecs) {
      for (let secs = 0; !done(); secs++) {
        assert.ok(secs <= maxSecs, `Nothing for ${maxSecs} s`);
        await clock.advance(1_000);
      }
    },
  };
  return world;
}

const MANIFEST = app({
  entities: [entity("Order", { total: field.int(), ownerId: field.string().optional() })],
  policies: [policy({ name: "own", entity: "Order", allow: "data.ownerId == auth.userId" })],
  plugins: [
    {
      name: "webhooks",
      config: { hooks: [{ entity: "Order", events: ["insert"], url: "https://hooks.example.com/orders" }] },
    },
  ],
});

const FUNCTIONS = {
  place: mutation({
    args: { total: v.int() },
    async handler(ctx, { total }) {
      return ctx.db.insert("Order", { total, ownerId: ctx.auth.userId });
    },
  }),
  whoAmI: query({
    args: {},
    async handler(ctx) {
      return { ...ctx.auth, hasRole: ctx.auth.hasRole("editor") };
    },
  }),
  fail: mutation({
    args: {},
    async handler(ctx) {
      await ctx.db.insert("Order", { total: 1 });
      throw ctx.error("SOLD_OUT", "None left");
    },
  }),
};

/** Closes while time goes on, because what closes may wait for it. */
async function close(pylon: EmbeddedPylon, clock: VirtualClock): Promise<void> {
  const closed = new AbortController();
  const closing = pylon.close().finally(() => closed.abort());
  while (!closed.signal.aborted) await clock.advance(10);
  await closing;
}

async function withPylon(
  options: Partial<PylonOptions>,
  run: (pylon: EmbeddedPylon, world: World) => Promise<void>,
): Promise<void> {
  const world = createWorld();
  const { clock, transport } = world;
  const env = { PYLON_ADMIN_TOKEN: ADMIN_TOKEN };
  const pylon = createPylon({
    manifest: MANIFEST,
    functions: FUNCTIONS,
    store: "memory",
    env,
    clock,
    transport,
    ...options,
  });
  try {
    await run(pylon, world);
  } finally {
    await close(pylon, clock);
  }
}

function ask(method: string, path: string, json?: unknown): Request {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
  return new Request(`http://app.test${path}`, {
    method,
    headers,
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  });
}

async function readJson(response: Response): Promise<Record<string, Json>> {
  return (await response.json()) as Record<string, Json>;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (isPylonError(error)) return error.code;
    throw error;
  }
  throw new assert.AssertionError({ message: "Expected an error" });
}

describe("an embedded instance", () => {
  it("answers requests before it is started, and runs nothing in the background", () =>
    withPylon({}, async (pylon, { clock, sent, until }) => {
      const created = await pylon.fetch(ask("POST", "/api/entities/Order", { total: 5 }));
      assert.equal(created.status, 201);
      const id = (await readJson(created))["id"] as string;
      assert.deepEqual(await readJson(await pylon.fetch(ask("GET", `/api/entities/Order/${id}`))), {
        id,
        total: 5,
        ownerId: null,
      });
      assert.equal((await pylon.fetch(new Request("http://app.test/health"))).status, 200);
      const pending = clock.pending;
      await clock.advance(900_000);
      assert.equal(sent.length, 0);
      assert.equal(pending, 0);
      // What was committed meanwhile is delivered as soon as somebody works.
      await pylon.start();
      await until(() => sent.length > 0, 60);
      assert.deepEqual((JSON.parse(sent[0]?.body ?? "") as Record<string, Json>)["data"], {
        id,
        total: 5,
        ownerId: null,
      });
    }));

  it("delivers a webhook once, through the transport", () =>
    withPylon({}, async (pylon, { clock, sent, until }) => {
      await pylon.start();
      await pylon.start();
      const { id } = await pylon.db.insert("Order", { total: 7 });
      await until(() => sent.length > 0, 60);
      await clock.advance(600_000);
      assert.equal(sent.length, 1);
      assert.equal(sent[0]?.url, "https://hooks.example.com/orders");
      assert.equal(sent[0]?.headers.get("content-type"), "application/json");
      const body = JSON.parse(sent[0]?.body ?? "") as Record<string, Json>;
      assert.deepEqual(Object.keys(body), ["event", "entity", "row_id", "data", "timestamp", "delivery_id"]);
      assert.equal(body["row_id"], id);
      assert.deepEqual(await pylon.db.list("WebhookDelivery"), []);
    }));

  it("tries a failing receiver again after 30, 60, 120 and 240 seconds, and keeps what it gave up", () =>
    withPylon({}, async (pylon, world) => {
      const { clock, sent, until } = world;
      world.answer = () => new Response("no", { status: 500 });
      await pylon.start();
      const { id } = await pylon.db.insert("Order", { total: 9 });
      await until(() => sent.length === 5, 600);
      await clock.advance(1_800_000);
      assert.equal(sent.length, 5);
      assert.equal(new Set(sent.map(({ body }) => body)).size, 1);
      for (const [index, backoffSecs] of [30, 60, 120, 240].entries()) {
        const gap = (sent[index + 1]?.at ?? 0) - (sent[index]?.at ?? 0);
        // Up to a tenth of jitter, and the second that time moves at once.
        assert.ok(gap >= backoffSecs && gap <= backoffSecs * 1.1 + 1, `${gap} s before attempt ${index + 2}`);
      }
      const [letter, ...more] = await pylon.db.list("WebhookDelivery");
      assert.equal(more.length, 0);
      const { delivery_id: deliveryId } = JSON.parse(sent[0]?.body ?? "") as Record<string, Json>;
      assert.deepEqual(
        [letter?.["deliveryId"], letter?.["rowId"], letter?.["attempts"], letter?.["lastStatus"], letter?.["status"]],
        [deliveryId, id, 5, 500, "dead"],
      );
    }));

  it("goes on from where the last process stopped", async () => {
    const folder = await createTempDir();
    try {
      const store = `sqlite:${join(folder.path, "data", "app.db")}`;
      await withPylon({ store }, async (pylon, { sent }) => {
        await pylon.db.insert("Order", { total: 1 });
        assert.equal(sent.length, 0);
      });
      await withPylon({ store }, async (pylon, { sent, until }) => {
        assert.equal((await pylon.db.list("Order")).length, 1);
        await pylon.start();
        await until(() => sent.length > 0, 60);
      });
      await withPylon({ store }, async (pylon, { clock, sent }) => {
        await pylon.start();
        await clock.advance(60_000);
        assert.equal(sent.length, 0);
      });
    } finally {
      await folder.remove();
    }
  });

  it("keeps the network guard in front of the transport", () =>
    withPylon(
      {
        manifest: {
          ...MANIFEST,
          plugins: [
            {
              name: "webhooks",
              config: { hooks: [{ entity: "Order", events: ["insert"], url: "http://169.254.169.254/" }] },
            },
          ],
        },
      },
      async (pylon, { clock, sent }) => {
        await pylon.start();
        await pylon.db.insert("Order", { total: 1 });
        await clock.advance(1_000);
        assert.equal(sent.length, 0);
        const [letter] = await pylon.db.list("WebhookDelivery");
        assert.match(JSON.stringify(letter?.["lastError"]), /^"NET_BLOCKED/);
      },
    ));
});

describe("without a transport and a clock of its own", () => {
  it("delivers over the network, signed", async () => {
    const received = Promise.withResolvers<{ readonly signature: string; readonly body: string }>();
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        const { "x-pylon-signature": signature } = request.headers;
        received.resolve({ signature: String(signature), body: Buffer.concat(chunks).toString() });
        response.end();
      });
    });
    await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const hook = {
      entity: "Order",
      events: ["insert"],
      url: `http://127.0.0.1:${port}/orders`,
      secret_env: "HOOK_SECRET",
    };
    const plugins = [
      { name: "webhooks", config: { hooks: [hook] } },
      { name: "net_guard", config: { allow_hosts: [`127.0.0.1:${port}`] } },
    ];
    const pylon = createPylon({ manifest: { ...MANIFEST, plugins }, store: "memory", env: { HOOK_SECRET: "s3cret" } });
    try {
      await pylon.start();
      await pylon.db.insert("Order", { total: 3 });
      const { signature, body } = await received.promise;
      assert.equal(signature, `sha256=${createHmac("sha256", "s3cret").update(body).digest("hex")}`);
    } finally {
      await pylon.close();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});

describe("call()", () => {
  it("runs functions as whoever is named", () =>
    withPylon({}, async (pylon) => {
      const asAda = { userId: "ada", roles: ["editor"], tenantId: "org_1" };
      const id = await pylon.call("place", { total: 5 }, asAda);
      assert.equal(typeof id, "string");
      assert.equal((await pylon.db.get("Order", id as string))?.["ownerId"], "ada");
      const anonymous = { userId: null, email: null, roles: [], tenantId: null, isAdmin: false, hasRole: false };
      assert.deepEqual(await pylon.call("whoAmI"), anonymous);
      assert.deepEqual(await pylon.call("whoAmI", {}, asAda), { ...anonymous, ...asAda, hasRole: true });
      assert.deepEqual(await pylon.call("whoAmI", {}, { isAdmin: true }), { ...anonymous, isAdmin: true });
    }));

  it("rejects with the function's own code, and rolls back", () =>
    withPylon({}, async (pylon, { clock, sent }) => {
      await pylon.start();
      assert.equal(await codeOf(pylon.call("fail")), "SOLD_OUT");
      assert.equal(await codeOf(pylon.call("place", { total: "x" })), "VALIDATION_FAILED");
      assert.equal(await codeOf(pylon.call("nothing")), "FN_NOT_FOUND");
      await clock.advance(60_000);
      assert.deepEqual(await pylon.db.list("Order"), []);
      assert.equal(sent.length, 0);
    }));
});

describe("db", () => {
  it("reads and writes past the policies, through the whole write path", () =>
    withPylon({}, async (pylon, { sent, until }) => {
      await pylon.start();
      const { db } = pylon;
      const row = await db.insert("Order", { total: 1, ownerId: "ada" });
      assert.deepEqual(await db.update("Order", row.id, { total: 2 }), { ...row, total: 2 });
      assert.deepEqual(await db.query("Order", { total: { $gte: 2 } }), [{ ...row, total: 2 }]);
      assert.deepEqual(await db.delete("Order", row.id), { ...row, total: 2 });
      assert.equal(await db.get("Order", row.id), null);
      assert.equal(await codeOf(db.insert("Order", { total: "x" })), "VALIDATION_FAILED");
      assert.equal(await codeOf(db.insert("WebhookDelivery", {})), "READ_ONLY");
      assert.equal(await codeOf(db.list("Nothing")), "ENTITY_NOT_FOUND");
      await until(() => sent.length > 0, 60);
    }));

  it("makes several writes all or nothing", () =>
    withPylon({}, async ({ db }) => {
      const failing = db.transaction(async (writer) => {
        await writer.insert("Order", { total: 1 });
        throw new Error("No");
      });
      await assert.rejects(failing, { message: "No" });
      const ids = await db.transaction(async (writer) => {
        const first = await writer.insert("Order", { total: 1 });
        // An embedder's own waiting is allowed here.
        await new Promise((resolve) => setTimeout(resolve, 1));
        return [first.id, (await writer.insert("Order", { total: 2 })).id];
      });
      assert.deepEqual(
        (await db.list("Order")).map(({ id }) => id),
        ids,
      );
    }));
});

describe("two instances in one process", () => {
  it("do not see each other", () =>
    withPylon({}, (first, firstWorld) =>
      withPylon({ functions: {} }, async (second, secondWorld) => {
        await first.start();
        await second.start();
        await first.db.insert("Order", { total: 1 });
        assert.deepEqual(await second.db.list("Order"), []);
        assert.equal(await codeOf(second.call("place", { total: 1 })), "FN_NOT_FOUND");
        await firstWorld.until(() => firstWorld.sent.length === 1, 60);
        await secondWorld.clock.advance(60_000);
        assert.equal(secondWorld.sent.length, 0);
        await close(first, firstWorld.clock);
        assert.equal((await second.fetch(ask("GET", "/api/entities/Order"))).status, 200);
      }),
    ));
});

describe("a start that fails", () => {
  const BAD: readonly (readonly [string, Partial<PylonOptions>, string])[] = [
    ["a manifest", { manifest: { manifest_version: 2, colour: "red" } }, "MANIFEST_INVALID"],
    ["no manifest", { manifest: undefined }, "MANIFEST_INVALID"],
    ["a plugin", { manifest: { ...MANIFEST, plugins: [{ name: "nothing", config: {} }] } }, "PLUGIN_INVALID"],
    ["a setting", { env: { PYLON_DRAIN_SECS: "soon" } }, "CONFIG_INVALID"],
    ["a token's rules", { env: { PYLON_JWT_SECRET: "short" } }, "CONFIG_INVALID"],
    [
      "a guard that could not guard",
      { manifest: { ...MANIFEST, plugins: [{ name: "net_guard", config: { guard_functions: true } }] } },
      "CONFIG_INVALID",
    ],
    ["a store", { store: "mysql://localhost" }, "CONFIG_INVALID"],
    ["a store without a path", { store: "sqlite:" }, "CONFIG_INVALID"],
    ["a store that cannot be", { store: "sqlite:/dev/null/app.db" }, "STORE_UNWRITABLE"],
  ];
  for (const [what, options, code] of BAD) {
    it(`because of ${what} is told to everyone who asks, and closes`, () =>
      withPylon(options, async (pylon) => {
        assert.equal(await codeOf(pylon.start()), code);
        assert.equal(await codeOf(pylon.fetch(ask("GET", "/health"))), code);
        assert.equal(await codeOf(pylon.call("place", { total: 1 })), code);
        assert.equal(await codeOf(pylon.db.list("Order")), code);
        await pylon.close();
      }));
  }

  it("ends nothing when nobody asks", async () => {
    const { clock } = createWorld();
    const pylon = createPylon({ manifest: null, store: "memory", env: {}, clock });
    await rest();
    await pylon.close();
  });

  it("closes what plugins had opened by then", () => {
    const closed: string[] = [];
    const noisy = (name: string): NonNullable<PylonOptions["plugins"]>[number] => ({
      name,
      config: { safeParse: (value: unknown) => ({ success: true, data: value }) } as never,
      setup: () => ({
        jobs: [{ kind: "same", laneConcurrency: 1, run: () => Promise.resolve({ kind: "done" as const }) }],
        close: () => void closed.push(name),
      }),
    });
    const plugins = [noisy("one"), noisy("two")];
    const manifest = { ...MANIFEST, plugins: plugins.map(({ name }) => ({ name, config: {} })) };
    return withPylon({ manifest, plugins }, async (pylon) => {
      // Two handlers for one kind of job.
      await assert.rejects(pylon.start(), TypeError);
      assert.deepEqual(closed, ["two", "one"]);
    });
  });
});

describe("close()", () => {
  it("refuses what comes later, and can be repeated", () =>
    withPylon({}, async (pylon, { clock }) => {
      await pylon.start();
      await Promise.all([close(pylon, clock), close(pylon, clock)]);
      await close(pylon, clock);
      const late = await pylon.fetch(ask("GET", "/api/entities/Order"));
      assert.equal(late.status, 503);
      assert.equal(await codeOf(pylon.start()), "DRAINING");
      assert.equal(await codeOf(pylon.db.list("Order")), "STORE_CLOSED");
      assert.equal(clock.pending, 0);
    }));

  it("works on an instance that is still opening", () =>
    withPylon({}, async (pylon, { clock }) => {
      await close(pylon, clock);
      assert.equal((await pylon.fetch(ask("GET", "/health"))).status, 200);
    }));

  it("finishes the requests under way", () => {
    const gate = Promise.withResolvers<void>();
    const slow = query({
      args: {},
      async handler(ctx) {
        await gate.promise;
        return (await ctx.db.list("Order")).length;
      },
    });
    return withPylon({ functions: { slow } }, async (pylon, { clock }) => {
      await pylon.db.insert("Order", { total: 1 });
      const answering = pylon.fetch(ask("POST", "/api/fn/slow", {}));
      await rest();
      const closing = close(pylon, clock);
      await rest();
      gate.resolve();
      const answer = await answering;
      assert.equal(answer.status, 200);
      assert.equal(await answer.json(), 1);
      await closing;
    });
  });

  it("leaves a store open that was handed in", async () => {
    const { store, cleanup } = await openTempSqlite();
    try {
      await withPylon({ store }, async (pylon) => {
        await pylon.db.insert("Order", { total: 1 });
      });
      await store.ping();
      await withPylon({ store }, async (pylon) => {
        assert.equal((await pylon.db.list("Order")).length, 1);
      });
      await withPylon({ store, manifest: null }, async (pylon) => {
        assert.equal(await codeOf(pylon.start()), "MANIFEST_INVALID");
      });
      await store.ping();
    } finally {
      await cleanup();
    }
  });

  it("leaves no file of a store in memory", async () => {
    const folder = await createTempDir();
    const { TMPDIR: before } = process.env;
    process.env.TMPDIR = folder.path;
    try {
      await withPylon({}, async (pylon) => {
        await pylon.db.list("Order");
        assert.equal((await readdir(folder.path)).length, 1);
      });
      assert.deepEqual(await readdir(folder.path), []);
    } finally {
      if (before === undefined) delete process.env.TMPDIR;
      else process.env.TMPDIR = before;
      await folder.remove();
    }
  });
});
