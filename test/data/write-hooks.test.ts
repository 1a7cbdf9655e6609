// The three moments of a write: what hooks see, what they may change, and that their effects share the write's fate.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Change, WriteHooks } from "../../src/data/change.ts";
import { coreError } from "../../src/core/errors.ts";
import { entity, field, policy } from "../../src/manifest/dsl.ts";
import type { LaneDue } from "../../src/store/store.ts";
import { AS_ADMIN, asCaller, asFunction, codeOf, newJob, userOf, withData, type DataHarness } from "./data-harness.ts";

const ORDER = entity("Order", { total: field.int(), note: field.string().optional() });
const NOTE = entity("Note", { text: field.string() });
const ADA = userOf("ada", "org_1");
const FN = asFunction(ADA);

function withHooks(hooks: readonly WriteHooks[], run: (harness: DataHarness) => Promise<void>): Promise<void> {
  return withData({ entities: [ORDER, NOTE], hooks }, run);
}

/** Keeps what each hook was shown. */
function createWitness(): { readonly hooks: WriteHooks; readonly seen: string[]; readonly changes: Change[] } {
  const seen: string[] = [];
  const changes: Change[] = [];
  return {
    seen,
    changes,
    hooks: {
      before: ({ op, entity }) => void seen.push(`before ${op} ${entity}`),
      within: ({ op, entity }) => void seen.push(`within ${op} ${entity}`),
      after(change) {
        seen.push(`after ${change.op} ${change.entity}`);
        changes.push(change);
      },
    },
  };
}

describe("hooks", () => {
  it("see a write before, within and after it, in the order they were given", () => {
    const seen: string[] = [];
    const named = (name: string): WriteHooks => ({
      before: () => void seen.push(`${name} before`),
      within: () => void seen.push(`${name} within`),
      after: () => void seen.push(`${name} after`),
    });
    return withHooks([named("a"), {}, named("b")], async ({ data }) => {
      await data.insert(FN, "Order", { total: 1 });
      assert.deepEqual(seen, ["a before", "b before", "a within", "b within", "a after", "b after"]);
    });
  });

  it("see the rows before and after, who wrote, and when", () => {
    const witness = createWitness();
    return withHooks([witness.hooks], async ({ data, clock }) => {
      const at = clock.now();
      const row = await data.insert(asCaller({ ...ADA, isAdmin: true }), "Order", { total: 1 });
      await data.update(FN, "Order", row.id, { total: 2 });
      await data.delete(FN, "Order", row.id);
      const after = { ...row, total: 2 };
      const common = { entity: "Order", id: row.id, at };
      const { id: _given, ...inserted } = row;
      assert.deepEqual(witness.changes, [
        {
          ...common,
          op: "insert",
          before: null,
          after: row,
          draft: inserted,
          actor: { ...ADA, isAdmin: true },
          requestId: "req_1",
        },
        { ...common, op: "update", before: row, after, draft: { total: 2 }, actor: ADA, requestId: null },
        { ...common, op: "delete", before: after, after: null, draft: {}, actor: ADA, requestId: null },
      ]);
    });
  });

  it("see the entities they ask for alone", () => {
    const witness = createWitness();
    return withHooks([{ ...witness.hooks, entities: new Set(["Note"]) }], async ({ data }) => {
      await data.insert(FN, "Order", { total: 1 });
      await data.write(FN, async (writer) => {
        await writer.insert("Order", { total: 2 });
        await writer.insert("Note", { text: "x" });
      });
      assert.deepEqual(witness.seen, ["before insert Note", "within insert Note", "after insert Note"]);
    });
  });

  it("see nothing of a write that found no row", () => {
    const witness = createWitness();
    return withHooks([witness.hooks], async ({ data }) => {
      await data.update(FN, "Order", "missing", { total: 1 });
      await data.delete(FN, "Order", "missing");
      assert.deepEqual(witness.seen, ["before update Order", "before delete Order"]);
    });
  });
});

describe("before hooks", () => {
  it("change what is written, and wait for what they like", () =>
    withHooks(
      [
        {
          async before(draft) {
            await new Promise((resolve) => setTimeout(resolve, 1));
            if (draft.op !== "delete") draft.data["note"] = `${draft.op} by ${draft.actor.userId}`;
          },
        },
      ],
      async ({ data }) => {
        const row = await data.insert(FN, "Order", { total: 1 });
        assert.equal(row.note, "insert by ada");
        assert.equal((await data.update(FN, "Order", row.id, { total: 2 }))?.note, "update by ada");
        assert.equal((await data.read(FN).get("Order", row.id))?.note, "update by ada");
      },
    ));

  it("know the id that a row will have", () => {
    const ids: string[] = [];
    return withHooks([{ before: ({ id }) => void ids.push(id) }], async ({ data }) => {
      const row = await data.insert(FN, "Order", { total: 1 });
      await data.delete(FN, "Order", row.id);
      assert.deepEqual(ids, [row.id, row.id]);
    });
  });

  it("refuse a write by throwing", () =>
    withHooks(
      [
        {
          before({ op }) {
            if (op === "delete") throw coreError("NOT_FOUND");
          },
        },
      ],
      async ({ data }) => {
        const row = await data.insert(FN, "Order", { total: 1 });
        assert.equal(await codeOf(data.delete(FN, "Order", row.id)), "NOT_FOUND");
        assert.equal((await data.read(FN).list("Order")).length, 1);
        // The row did not change yet, so a transaction may go on without it.
        await data.write(FN, async (writer) => {
          assert.equal(await codeOf(writer.delete("Order", row.id)), "NOT_FOUND");
          await writer.insert("Order", { total: 2 });
        });
        assert.equal((await data.read(FN).list("Order")).length, 2);
      },
    ));

  it("are not asked about what the policy or the entity refuses", () => {
    const witness = createWitness();
    const none = policy({ name: "none", entity: "Order", allowInsert: "data.total > 10" });
    return withData({ entities: [ORDER], policies: [none], hooks: [witness.hooks] }, async ({ data }) => {
      assert.equal(await codeOf(data.insert(asCaller(ADA), "Order", { total: 1 })), "POLICY_DENIED");
      assert.equal(await codeOf(data.delete(asCaller(ADA), "Order", "x")), "POLICY_DENIED");
      assert.equal(await codeOf(data.insert(AS_ADMIN, "Order", {})), "VALIDATION_FAILED");
      assert.deepEqual(witness.seen, []);
    });
  });
});

/** Adds a job with every write, and fails for totals above 10. */
const ENQUEUE: WriteHooks = {
  async within(change, tx) {
    await tx.enqueueJob(newJob(`job_${change.id}_${change.op}`, change.at));
    const total = change.after?.total;
    if (typeof total === "number" && total > 10) throw coreError("VALIDATION_FAILED", { message: "Too much" });
  },
};

describe("within hooks", () => {
  it("commit with the write, and are announced with it", () =>
    withHooks([ENQUEUE], async ({ data, store }) => {
      const due: LaneDue[] = [];
      store.onDue((lanes) => due.push(...lanes));
      const row = await data.insert(FN, "Order", { total: 1 });
      assert.equal((await store.reader.getJob(`job_${row.id}_insert`))?.state, "ready");
      assert.deepEqual(
        due.map(({ lane }) => lane),
        ["note"],
      );
    }));

  it("roll back the row and every job when one throws", () => {
    const witness = createWitness();
    return withHooks([ENQUEUE, witness.hooks], async ({ data, store }) => {
      const due: LaneDue[] = [];
      store.onDue((lanes) => due.push(...lanes));
      assert.equal(await codeOf(data.insert(FN, "Order", { total: 11 })), "VALIDATION_FAILED");
      assert.deepEqual(await data.read(FN).list("Order"), []);
      assert.deepEqual(await store.reader.dueLanes(Number.MAX_SAFE_INTEGER, 10), []);
      assert.deepEqual(due, []);
      assert.deepEqual(witness.seen, ["before insert Order"]);
    });
  });

  it("leave the row as it was when an update or a delete fails", () => {
    const failing: WriteHooks = {
      within({ op }) {
        if (op !== "insert") throw coreError("INTERNAL");
      },
    };
    return withHooks([failing], async ({ data }) => {
      const row = await data.insert(FN, "Order", { total: 1 });
      assert.equal(await codeOf(data.update(FN, "Order", row.id, { total: 2 })), "INTERNAL");
      assert.equal(await codeOf(data.delete(FN, "Order", row.id)), "INTERNAL");
      assert.deepEqual(await data.read(FN).list("Order"), [row]);
    });
  });

  it("fail a transaction even when its code catches the error: the row would be there and its job not", () => {
    const witness = createWitness();
    return withHooks([ENQUEUE, witness.hooks], async ({ data, store }) => {
      const work = data.write(FN, async (writer) => {
        await writer.insert("Order", { total: 1 });
        assert.equal(await codeOf(writer.insert("Order", { total: 11 })), "VALIDATION_FAILED");
        assert.equal(await codeOf(writer.insert("Order", { total: 2 })), "VALIDATION_FAILED");
        return "committed";
      });
      assert.equal(await codeOf(work), "VALIDATION_FAILED");
      assert.deepEqual(await data.read(FN).list("Order"), []);
      assert.deepEqual(await store.reader.dueLanes(Number.MAX_SAFE_INTEGER, 10), []);
      assert.ok(!witness.seen.some((line) => line.startsWith("after")));
    });
  });

  it("see the writes before them in the same transaction", () => {
    const counts: number[] = [];
    return withHooks(
      [
        {
          async within(_, tx) {
            counts.push(await tx.count("Order", []));
          },
        },
      ],
      async ({ data }) => {
        await data.write(FN, async (writer) => {
          await writer.insert("Order", { total: 1 });
          await writer.insert("Order", { total: 2 });
        });
        assert.deepEqual(counts, [1, 2]);
      },
    );
  });

  it("write other entities with hooks of their own", () => {
    const seen: string[] = [];
    const harness: { current?: DataHarness } = {};
    const copy: WriteHooks = {
      async within(change, tx) {
        seen.push(change.entity);
        if (change.entity === "Order") {
          await harness.current?.data.within(FN, tx).insert("Note", { text: change.id });
        }
      },
    };
    return withHooks([copy], async (opened) => {
      harness.current = opened;
      const row = await opened.data.insert(FN, "Order", { total: 1 });
      assert.equal((await opened.data.read(FN).list("Note"))[0]?.text, row.id);
      assert.deepEqual(seen, ["Order", "Note"]);
    });
  });
});

describe("after hooks", () => {
  it("run once the row can be read by everyone", () => {
    const harness: { current?: DataHarness } = {};
    const found: Promise<unknown>[] = [];
    const hooks: WriteHooks = {
      after: ({ id }) => void found.push(harness.current?.store.reader.get("Order", id) ?? Promise.resolve()),
    };
    return withHooks([hooks], async (opened) => {
      harness.current = opened;
      const row = await opened.data.insert(FN, "Order", { total: 1 });
      assert.deepEqual(await Promise.all(found), [row]);
    });
  });

  it("run in the order of the writes, none of them for a transaction that fails", () => {
    const witness = createWitness();
    return withHooks([witness.hooks], async ({ data }) => {
      const failing = data.write(FN, async (writer) => {
        await writer.insert("Order", { total: 1 });
        throw coreError("INTERNAL");
      });
      assert.equal(await codeOf(failing), "INTERNAL");
      assert.equal(witness.changes.length, 0);
      await data.write(FN, async (writer) => {
        const row = await writer.insert("Order", { total: 1 });
        await writer.insert("Note", { text: "x" });
        await writer.delete("Order", row.id);
        assert.equal(witness.changes.length, 0);
      });
      assert.deepEqual(
        witness.changes.map(({ op, entity }) => `${op} ${entity}`),
        ["insert Order", "insert Note", "delete Order"],
      );
    });
  });

  it("do not make a committed write fail, nor each other", () => {
    const witness = createWitness();
    const throwing: WriteHooks = {
      after() {
        throw new Error("Broken");
      },
    };
    return withHooks([throwing, witness.hooks], async ({ data, logged }) => {
      await data.insert(FN, "Order", { total: 1 });
      await data.write(FN, (writer) => writer.insert("Order", { total: 2 }));
      assert.equal(witness.changes.length, 2);
      assert.equal((await data.read(FN).list("Order")).length, 2);
      assert.deepEqual(
        logged,
        Array.from({ length: 2 }, () => 'data.after_hook_failed: "Broken"'),
      );
    });
  });
});
