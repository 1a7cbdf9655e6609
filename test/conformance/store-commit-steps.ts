// The steps that writes leave for the end of their commit: once per commit, last, all or nothing with the writes that asked
// for them, and no burden on those that did not.

import assert from "node:assert/strict";

import type { CommitStep } from "../../src/store/store.ts";
import { createTables, findIds, newJob, note, type StoreTest } from "./store-fixture.ts";

/** A step that writes one note per item. */
function createNotes(): CommitStep<string> & { readonly runs: (readonly string[])[] } {
  const runs: (readonly string[])[] = [];
  return {
    runs,
    async run(tx, items) {
      runs.push(items);
      for (const item of items) {
        const outcome = await tx.insert("Note", note(item));
        if (outcome.kind === "conflict") throw new Error(`There is a note ${item}`);
      }
    },
  };
}

export function testCommitSteps(test: StoreTest): void {
  test("a step sees what the write did, and commits with it", async ({ store }) => {
    await createTables(store);
    let seen: unknown;
    const step: CommitStep<string> = {
      async run(tx, items) {
        seen = [items, (await tx.get("Note", "row"))?.id];
        await tx.insert("Note", note("by-step"));
        await tx.enqueueJob(newJob("job-of-step"));
      },
    };
    await store.write(async (tx) => {
      tx.atCommit(step, "one");
      await tx.insert("Note", note("row"));
      tx.atCommit(step, "two");
      assert.equal(await tx.get("Note", "by-step"), undefined);
    });
    assert.deepEqual(seen, [["one", "two"], "row"]);
    assert.deepEqual(await findIds(store, "Note"), ["by-step", "row"]);
    assert.equal((await store.reader.getJob("job-of-step"))?.state, "ready");
  });

  test("every item is handed over exactly once, in the order of the writes", async ({ store }) => {
    await createTables(store);
    const step = createNotes();
    const names = Array.from({ length: 40 }, (_, index) => `n${String(index).padStart(2, "0")}`);
    await Promise.all(names.map((name) => store.write(async (tx) => tx.atCommit(step, name))));
    assert.deepEqual(await findIds(store, "Note"), names);
    assert.equal(new Set(step.runs.flat()).size, names.length);
  });

  test("a write that rolls back takes its items with it", async ({ store }) => {
    await createTables(store);
    const step = createNotes();
    const failing = store.write(async (tx) => {
      tx.atCommit(step, "lost");
      throw new Error("no");
    });
    const fine = store.write(async (tx) => tx.atCommit(step, "kept"));
    await assert.rejects(failing, /no/);
    await fine;
    assert.deepEqual(await findIds(store, "Note"), ["kept"]);
  });

  test("a step that fails rolls back who asked for it, and nobody else", async ({ store }) => {
    await createTables(store);
    const step: CommitStep<string> = {
      async run(tx) {
        await tx.insert("Note", note("half"));
        throw new Error("the step fails");
      },
    };
    const before = store.write((tx) => tx.insert("Note", note("before")));
    const asking = store.write(async (tx) => {
      await tx.insert("Note", note("asking"));
      tx.atCommit(step, "item");
    });
    const after = store.write((tx) => tx.insert("Note", note("after")));
    await assert.rejects(asking, /the step fails/);
    assert.deepEqual([(await before).kind, (await after).kind], ["inserted", "inserted"]);
    assert.deepEqual(await findIds(store, "Note"), ["after", "before"]);
  });
}
