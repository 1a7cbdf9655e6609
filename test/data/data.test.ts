// The write path: single writes and transactions, what they refuse, and that they happen whole or not at all.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { entity, field } from "../../src/manifest/dsl.ts";
import {
  AS_ADMIN,
  AS_NOBODY,
  AS_PYLON,
  asCaller,
  asFunction,
  codeOf,
  errorOf,
  pathsOf,
  userOf,
  withData,
} from "./data-harness.ts";

const ORDER = entity(
  "Order",
  {
    number: field.string().unique(),
    total: field.int(),
    paid: field.bool().optional(),
    placedAt: field.datetime().optional(),
    meta: field.json().optional(),
    region: field.string().optional(),
    slot: field.int().optional(),
  },
  { indexes: [{ name: "by_slot", fields: ["region", "slot"], unique: true }] },
);
const LOG = entity("Log", { text: field.string() });
const SHOP = { entities: [ORDER, LOG], readOnly: ["Log"] };
const FN = asFunction(userOf("ada"));
const ROW = { number: "A1", total: 100 };
const FULL = { ...ROW, paid: null, placedAt: null, meta: null, region: null, slot: null };

describe("single writes", () => {
  it("answer the row as it is stored", () =>
    withData(SHOP, async ({ data }) => {
      const input = { ...ROW, placedAt: "2026-04-28T12:32:00+02:00", meta: { tags: ["a", { b: null }] }, paid: false };
      const row = await data.insert(FN, "Order", input);
      assert.deepEqual(row, {
        ...FULL,
        id: row.id,
        paid: false,
        placedAt: "2026-04-28T10:32:00.000Z",
        meta: { tags: ["a", { b: null }] },
      });
      assert.deepEqual(await data.read(FN).get("Order", row.id), row);
      const updated = await data.update(FN, "Order", row.id, { total: 5, meta: null });
      assert.deepEqual(updated, { ...row, total: 5, meta: null });
      assert.deepEqual(await data.read(FN).get("Order", row.id), updated);
      assert.deepEqual(await data.delete(FN, "Order", row.id), updated);
      assert.equal(await data.read(FN).get("Order", row.id), null);
    }));

  it("give ids that sort in the order of writing", () =>
    withData(SHOP, async ({ data }) => {
      const ids: string[] = [];
      for (let index = 0; index < 20; index++) {
        ids.push((await data.insert(FN, "Order", { ...ROW, number: `A${index}` })).id);
      }
      assert.deepEqual(ids.toSorted(), ids);
      assert.deepEqual(
        (await data.read(FN).list("Order")).map(({ id }) => id),
        ids,
      );
    }));

  it("answer null where there is no row", () =>
    withData(SHOP, async ({ data }) => {
      assert.equal(await data.update(FN, "Order", "missing", { total: 1 }), null);
      assert.equal(await data.delete(FN, "Order", "missing"), null);
    }));

  it("list every problem of an input", () =>
    withData(SHOP, async ({ data }) => {
      const bad = { total: "x", paid: 1, extra: 1, id: "mine" };
      assert.deepEqual(await pathsOf(data.insert(FN, "Order", bad)), ["number", "total", "paid", "extra", "id"]);
      const row = await data.insert(FN, "Order", ROW);
      assert.deepEqual(await pathsOf(data.update(FN, "Order", row.id, { number: null, total: 0.5, more: 1 })), [
        "number",
        "total",
        "more",
      ]);
      for (const input of [null, undefined, "x", 5, [ROW]]) {
        assert.equal(await codeOf(data.insert(FN, "Order", input)), "VALIDATION_FAILED");
        assert.equal(await codeOf(data.update(FN, "Order", row.id, input)), "VALIDATION_FAILED");
      }
      assert.deepEqual(await data.read(FN).list("Order"), [{ ...FULL, id: row.id }]);
    }));

  it("name the columns of a conflict", () =>
    withData(SHOP, async ({ data }) => {
      await data.insert(FN, "Order", { ...ROW, region: "eu", slot: 1 });
      const other = await data.insert(FN, "Order", { ...ROW, number: "A2", region: "eu", slot: 2 });
      const cases = [
        [() => data.insert(FN, "Order", ROW), ["number"]],
        [() => data.insert(FN, "Order", { ...ROW, number: "A3", region: "eu", slot: 1 }), ["region", "slot"]],
        [() => data.update(FN, "Order", other.id, { number: "A1" }), ["number"]],
        [() => data.update(FN, "Order", other.id, { slot: 1 }), ["region", "slot"]],
      ] as const;
      for (const [work, columns] of cases) {
        const error = await errorOf(work());
        assert.equal(error.code, "CONFLICT");
        assert.equal(error.status, 409);
        assert.deepEqual(
          error.details?.map(({ path }) => path),
          columns,
        );
      }
      assert.equal((await data.read(FN).list("Order")).length, 2);
      // Nulls repeat freely.
      await data.insert(FN, "Order", { ...ROW, number: "A4", region: "eu" });
      await data.insert(FN, "Order", { ...ROW, number: "A5", region: "eu" });
    }));

  it("know no other entity", () =>
    withData(SHOP, async ({ data }) => {
      for (const name of ["Nothing", "order", "_pylon_meta", "__proto__"]) {
        assert.equal(await codeOf(data.insert(FN, name, {})), "ENTITY_NOT_FOUND");
        assert.equal(await codeOf(data.update(FN, name, "x", {})), "ENTITY_NOT_FOUND");
        assert.equal(await codeOf(data.delete(FN, name, "x")), "ENTITY_NOT_FOUND");
        assert.equal(await codeOf(data.read(FN).get(name, "x")), "ENTITY_NOT_FOUND");
      }
    }));

  it("leave what Pylon writes to Pylon", () =>
    withData(SHOP, async ({ data }) => {
      const row = await data.insert(AS_PYLON, "Log", { text: "kept" });
      for (const scope of [AS_ADMIN, AS_NOBODY, FN, asCaller(userOf("ada")), { ...AS_PYLON, internal: false }]) {
        assert.equal(await codeOf(data.insert(scope, "Log", { text: "x" })), "READ_ONLY");
        assert.equal(await codeOf(data.update(scope, "Log", row.id, { text: "x" })), "READ_ONLY");
        assert.equal(await codeOf(data.delete(scope, "Log", row.id)), "READ_ONLY");
      }
      assert.deepEqual(await data.read(FN).list("Log"), [{ id: row.id, text: "kept" }]);
      assert.equal((await data.delete(AS_PYLON, "Log", row.id))?.text, "kept");
    }));
});

describe("transactions", () => {
  it("see what they have written, before anyone else does", () =>
    withData(SHOP, async ({ data }) => {
      const id = await data.write(
        FN,
        async (writer) => {
          const row = await writer.insert("Order", ROW);
          assert.equal((await writer.update("Order", row.id, { total: 7 }))?.total, 7);
          assert.equal((await writer.get("Order", row.id))?.total, 7);
          assert.equal((await writer.lookup("Order", "number", "A1"))?.id, row.id);
          assert.equal((await writer.list("Order")).length, 1);
          assert.equal(await codeOf(writer.insert("Order", ROW)), "CONFLICT");
          assert.deepEqual(await data.read(FN).list("Order"), []);
          return row.id;
        },
        { exclusive: true },
      );
      assert.equal((await data.read(FN).get("Order", id))?.total, 7);
    }));

  it("happen whole or not at all", () =>
    withData(SHOP, async ({ data }) => {
      const kept = await data.insert(FN, "Order", ROW);
      const failing = data.write(FN, async (writer) => {
        await writer.insert("Order", { ...ROW, number: "A2" });
        await writer.update("Order", kept.id, { total: 1 });
        await writer.delete("Order", kept.id);
        await writer.insert("Order", { number: "A3" });
      });
      assert.equal(await codeOf(failing), "VALIDATION_FAILED");
      assert.deepEqual(await data.read(FN).list("Order"), [kept]);
    }));

  it("go on after a conflict that was caught", () =>
    withData(SHOP, async ({ data }) => {
      await data.write(FN, async (writer) => {
        await writer.insert("Order", ROW);
        assert.equal(await codeOf(writer.insert("Order", ROW)), "CONFLICT");
        await writer.insert("Order", { ...ROW, number: "A2" });
      });
      assert.equal((await data.read(FN).list("Order")).length, 2);
    }));

  it("make writes at once one after the other", () =>
    withData(SHOP, async ({ data }) => {
      const row = await data.insert(FN, "Order", ROW);
      const answers = await data.write(FN, (writer) =>
        Promise.all([
          writer.update("Order", row.id, { total: 1 }),
          writer.update("Order", row.id, { paid: true }),
          writer.update("Order", row.id, { region: "eu" }),
        ]),
      );
      // Each answer holds what the one before it wrote.
      assert.deepEqual(answers[0], { ...row, total: 1 });
      assert.deepEqual(answers[1], { ...row, total: 1, paid: true });
      assert.deepEqual(answers[2], { ...row, total: 1, paid: true, region: "eu" });
      assert.deepEqual(await data.read(FN).get("Order", row.id), answers[2]);
    }));

  it("wait for a write that nobody waited for", () =>
    withData(SHOP, async ({ data }) => {
      await data.write(FN, async (writer) => {
        void writer.insert("Order", ROW).then(() => writer.insert("Order", { ...ROW, number: "A2" }));
        void writer.insert("Order", { ...ROW, number: "A3" });
      });
      assert.deepEqual(
        (await data.read(FN).list("Order")).map(({ number }) => number),
        ["A1", "A3", "A2"],
      );
    }));

  it("end with nothing when they are aborted", () =>
    withData(SHOP, async ({ data }) => {
      const controller = new AbortController();
      const body = Promise.withResolvers<void>();
      const work = data.write(
        FN,
        async (writer) => {
          await writer.insert("Order", ROW);
          controller.abort(new Error("Too late"));
          await new Promise((resolve) => setTimeout(resolve, 0));
          await writer.insert("Order", { ...ROW, number: "A2" }).then(() => body.resolve(), body.reject);
        },
        { exclusive: true, signal: controller.signal },
      );
      const late = codeOf(body.promise);
      await assert.rejects(work, { message: "Too late" });
      assert.deepEqual(await data.read(FN).list("Order"), []);
      // The writer goes on with the next.
      await data.insert(FN, "Order", { ...ROW, number: "A4" });
      assert.equal(await late, "TX_ENDED");
      assert.deepEqual(
        (await data.read(FN).list("Order")).map(({ number }) => number),
        ["A4"],
      );
    }));

  it("refuse a writer that outlives them", () =>
    withData(SHOP, async ({ data }) => {
      const writer = await data.write(FN, (open) => Promise.resolve(open));
      assert.equal(await codeOf(writer.insert("Order", ROW)), "TX_ENDED");
      assert.equal(await codeOf(writer.list("Order")), "TX_ENDED");
    }));

  it("write beside other tables, inside a transaction that somebody else opened", () =>
    withData(SHOP, async ({ data, store }) => {
      await assert.rejects(
        store.write(async (tx) => {
          await data.within(AS_PYLON, tx).insert("Log", { text: "gone" });
          await tx.writeMeta("mark", "gone");
          throw new Error("No");
        }),
        { message: "No" },
      );
      await store.write(async (tx) => {
        await data.within(AS_PYLON, tx).insert("Log", { text: "kept" });
        await tx.writeMeta("mark", "kept");
      });
      assert.deepEqual(
        (await data.read(FN).list("Log")).map(({ text }) => text),
        ["kept"],
      );
      assert.equal(await store.reader.readMeta("mark"), "kept");
    }));
});
