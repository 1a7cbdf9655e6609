// Two instances on one database, as two replicas are: a change on one is live on the other within a second, and what was
// known last counts while the store is away.

import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createVirtualClock, type VirtualClock } from "../../../src/core/clock.ts";
import { SILENT_LOG } from "../../../src/core/log.ts";
import { createHmacSigner } from "../../../src/crypto/hmac.ts";
import { app, createPylon, type EmbeddedPylon } from "../../../src/mod.ts";
import { openLiveFlags, REVISION_KEY } from "../../../src/plugins/feature-flags/live-flags.ts";
import { flagDefinition } from "../../../src/plugins/feature-flags/flag-definition.ts";
import { createFlagUses } from "../../../src/plugins/feature-flags/flag-use.ts";
import type { FlagSet } from "../../../src/plugins/feature-flags/served-flags.ts";
import type { Reader, Store } from "../../../src/store/store.ts";
import { createTempDir } from "../../support/temp-dir.ts";

const ADMIN_TOKEN = "the-admin-token-of-the-tests-0123456789";

function openReplica(path: string, clock: VirtualClock): EmbeddedPylon {
  const flags = { dark: { enabled: true }, bright: { enabled: true, rollout: 25 } };
  return createPylon({
    manifest: { ...app(), plugins: [{ name: "feature_flags", config: { flags } }] },
    store: `sqlite:${path}`,
    env: { PYLON_ADMIN_TOKEN: ADMIN_TOKEN },
    clock,
  });
}

async function ask(replica: EmbeddedPylon, target: string, json?: unknown): Promise<Record<string, unknown>> {
  const [method = "GET", path = "/"] = target.split(" ");
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const response = await replica.fetch(new Request(`http://replica.test${path}`, { method, headers, ...body }));
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Record<string, unknown>;
}

async function withReplicas(
  run: (first: EmbeddedPylon, second: EmbeddedPylon, clock: VirtualClock) => Promise<void>,
): Promise<void> {
  const folder = await createTempDir();
  const clock = createVirtualClock();
  const path = join(folder.path, "pylon.db");
  const replicas = [openReplica(path, clock), openReplica(path, clock)] as const;
  const closeAll = async (): Promise<void> => {
    const closing = Promise.all(replicas.map((replica) => replica.close()));
    let isClosed = false;
    void closing.finally(() => (isClosed = true));
    while (!isClosed) await clock.advance(10);
    await closing;
  };
  try {
    await ask(replicas[0], "GET /api/flags");
    await run(...replicas, clock);
  } finally {
    await closeAll();
    await folder.remove();
  }
}

describe("a change on one replica", () => {
  it("is live on the other within a second", async () => {
    await withReplicas(async (first, second, clock) => {
      await Promise.all([first.start(), second.start()]);
      assert.equal((await ask(second, "GET /api/flags"))["dark"], true);
      await ask(first, "PATCH /api/admin/flags/dark", { enabled: false });
      assert.equal((await ask(first, "GET /api/flags"))["dark"], false);
      await clock.advance(1_000);
      assert.equal((await ask(second, "GET /api/flags"))["dark"], false);
      await ask(second, "DELETE /api/admin/flags/dark/changes");
      await clock.advance(1_000);
      assert.equal((await ask(first, "GET /api/flags"))["dark"], true);
    });
  });

  it("is seen by one that was never started, when it is asked", async () => {
    await withReplicas(async (first, second, clock) => {
      await ask(second, "GET /api/flags");
      await ask(first, "PATCH /api/admin/flags/dark", { enabled: false });
      await clock.advance(1_000);
      assert.equal((await ask(second, "GET /api/flags"))["dark"], false);
    });
  });

  it("gives both the same version", async () => {
    await withReplicas(async (first, second, clock) => {
      await Promise.all([first.start(), second.start()]);
      await ask(first, "PATCH /api/admin/flags/bright", { rollout: 50, users: ["u_1"] });
      await clock.advance(1_000);
      const bulk = "POST /ofrep/v1/evaluate/flags";
      const [a, b] = [await ask(first, bulk, {}), await ask(second, bulk, {})];
      assert.deepEqual(a["metadata"], b["metadata"]);
      assert.deepEqual(a["eventStreams"], b["eventStreams"]);
    });
  });
});

/** A store with these changes, which can be away. */
function createReader(state: { revision: string; rows: readonly object[]; isAway: boolean }): Reader {
  const here = <T>(value: T): Promise<T> => (state.isAway ? Promise.reject(new Error("away")) : Promise.resolve(value));
  return {
    readMeta: (key: string) => here(key === REVISION_KEY ? state.revision : undefined),
    find: () => here(state.rows),
  } as unknown as Reader;
}

describe("stored changes", () => {
  const configured = new Map([["dark", flagDefinition.parse({ enabled: true, users: ["u_1"] })]]);
  const signer = createHmacSigner("a-secret");
  const useOf = createFlagUses().of;
  const rowOf = (changes: object): object => ({ id: "1", name: "dark", changes, updatedBy: null, updatedAt: "" });

  it("keep the flags that were known last while the store is away, and say so once", async () => {
    const state = { revision: "1", rows: [rowOf({ enabled: false })], isAway: false };
    const clock = createVirtualClock();
    const logged: string[] = [];
    const note = (event: string): void => void logged.push(event);
    const log = { info: note, warn: note, error: note };
    const announced: FlagSet[] = [];
    const onChange = (set: FlagSet): void => void announced.push(set);
    const live = await openLiveFlags({ configured, reader: createReader(state), clock, log, signer, useOf, onChange });
    live.start();
    state.isAway = true;
    state.revision = "2";
    state.rows = [];
    await clock.advance(5_000);
    assert.equal(live.current.flags[0]?.flag.definition.enabled, false);
    assert.deepEqual(logged, ["flags.error"]);
    state.isAway = false;
    await clock.advance(1_000);
    assert.equal(live.current.flags[0]?.flag.definition.enabled, true);
    assert.equal(announced.length, 1);
    live.stop();
    assert.equal(clock.pending, 0);
  });

  it("are looked for four times a second, and loaded when they are others", async () => {
    const state = { revision: "1", rows: [] as object[], isAway: false };
    const reader = createReader(state);
    let [looks, loads] = [0, 0];
    const counting = {
      readMeta: (key: string) => (looks++, reader.readMeta(key)),
      find: () => (loads++, reader.find("", { limit: 1 })),
    } as unknown as Reader;
    const clock = createVirtualClock();
    const onChange = (): void => undefined;
    const live = await openLiveFlags({
      configured,
      reader: counting,
      clock,
      log: SILENT_LOG,
      signer,
      useOf,
      onChange,
    });
    live.start();
    [looks, loads] = [0, 0];
    await clock.advance(10_000);
    assert.deepEqual([looks, loads], [40, 0]);
    state.revision = "2";
    await clock.advance(250);
    assert.deepEqual([looks, loads], [41, 1]);
    live.stop();
  });

  it("lose a key that cannot be read, and not the kill switch beside it", async () => {
    const rows = [rowOf({ enabled: false, rollout: "half", later: true })];
    const logged: unknown[] = [];
    const log = {
      info: () => undefined,
      warn: () => undefined,
      error: (_: string, fields?: object) => void logged.push(fields),
    };
    const reader = createReader({ revision: "1", rows, isAway: false });
    const live = await openLiveFlags({
      configured,
      reader,
      clock: createVirtualClock(),
      log,
      signer,
      useOf,
      onChange: () => undefined,
    });
    const { definition } = live.current.flags[0]?.flag ?? {};
    assert.deepEqual(definition, { enabled: false, users: ["u_1"] });
    assert.deepEqual(logged, [{ flag: "dark", keys: ["rollout", "later"] }]);
  });
});

describe("the counters of evaluations", () => {
  it("are of both replicas, and outlive them", async () => {
    await withReplicas(async (first, second, clock) => {
      await Promise.all([first.start(), second.start()]);
      const countOf = async (replica: EmbeddedPylon): Promise<unknown> => {
        const { flags } = await ask(replica, "GET /api/admin/flags");
        return (flags as Record<string, unknown>[])[0]?.["evaluations"];
      };
      for (let turn = 0; turn < 3; turn++) await ask(second, "GET /api/flags");
      const own = await countOf(first);
      await clock.advance(10_000);
      assert.equal(await countOf(first), Number(own) + 3);
      await ask(first, "GET /api/flags");
      assert.equal(await countOf(first), Number(own) + 4);
      const closing = first.close();
      await clock.advance(1_000);
      await closing;
      assert.equal(await countOf(second), Number(own) + 4);
    });
  });

  it("lose nothing when the store refuses, nor what is counted while it writes", async () => {
    const uses = createFlagUses();
    uses.of("dark").evaluations = 5;
    const refusing = { write: () => Promise.reject(new Error("full")) } as unknown as Store;
    await assert.rejects(uses.flush(refusing));
    assert.equal(uses.of("dark").evaluations, 5);
    let written: unknown;
    const tx = {
      get: () => Promise.resolve(undefined),
      insert: (_table: string, row: unknown) => Promise.resolve((written = row)),
    };
    const slow = {
      async write(run: (given: unknown) => Promise<void>) {
        await run(tx);
        uses.of("dark").evaluations += 2;
        await run(tx);
      },
    } as unknown as Store;
    await Promise.all([uses.flush(slow), uses.flush({ write: () => Promise.resolve() } as unknown as Store)]);
    assert.deepEqual([written, uses.of("dark").evaluations], [{ id: "dark", evaluations: 5, lastMs: null }, 0]);
  });
});
