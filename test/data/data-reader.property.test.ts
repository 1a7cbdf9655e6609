// Pages against the plain truth: for any rows, rule, caller, order and limit, walking all pages gives exactly the rows that
// the rule shows, in order and once, whatever is narrowed in the database and whoever writes meanwhile.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import type { Identity } from "../../src/core/identity.ts";
import { createDataReader, type DataReader, type Page } from "../../src/data/data-reader.ts";
import { createModel } from "../../src/data/model.ts";
import { entity, field } from "../../src/manifest/dsl.ts";
import { compileRule } from "../../src/manifest/policy/evaluate-rule.ts";
import { printRule } from "../../src/manifest/policy/print-rule.ts";
import type { Rule } from "../../src/manifest/policy/rule.ts";
import type { Condition, Order, Row, Store, Value } from "../../src/store/store.ts";
import { anyIdentity, anyRule } from "../manifest/policy/rule-arbitrary.ts";
import { AS_ADMIN, asCaller, withData } from "./data-harness.ts";

const THING = entity("Thing", {
  text: field.string().optional(),
  owner: field.string().optional(),
  count: field.int().optional(),
  ratio: field.float().optional(),
  flag: field.bool().optional(),
  at: field.datetime().optional(),
  meta: field.json().optional(),
});
const ORDERABLE = ["id", "text", "owner", "count", "ratio", "flag", "at"];

function orNull<T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(values, { freq: 3 });
}

const storableText = fc.string({ unit: "grapheme", maxLength: 3 }).filter((text) => !text.includes("\0"));
const anyThing: fc.Arbitrary<Record<string, Value>> = fc.record({
  text: orNull(fc.oneof(fc.constantFrom("", "a", "B", "é", "u1", "t1", "😀", "%", "_"), storableText)),
  owner: orNull(fc.constantFrom("u1", "a", "t1")),
  count: orNull(fc.integer({ min: -3, max: 3 })),
  // Adding 0 turns −0 into 0, as the write path does.
  ratio: orNull(fc.double({ noNaN: true, noDefaultInfinity: true }).map((ratio) => ratio + 0)),
  flag: orNull(fc.boolean()),
  at: orNull(fc.constantFrom("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z")),
  meta: orNull(fc.constantFrom({ owner: "u1" }, ["a"], "x", 1)),
});
const anyOrder: fc.Arbitrary<Order | undefined> = fc.option(
  fc.record({ column: fc.constantFrom(...ORDERABLE), descending: fc.boolean() }),
  { nil: undefined },
);
/** Rules that hide by chance, and rules that are about the caller. */
const anyReadRule: fc.Arbitrary<Rule> = fc.oneof(
  anyRule,
  fc.constantFrom<Rule>(
    {
      kind: "compare",
      op: "==",
      left: { kind: "field", root: "data", path: ["owner"], offset: 0 },
      right: { kind: "auth", member: "userId" },
    },
    {
      kind: "compare",
      op: ">",
      left: { kind: "field", root: "data", path: ["count"], offset: 0 },
      right: { kind: "literal", value: 0 },
    },
    { kind: "field", root: "data", path: ["flag"], offset: 0 },
    { kind: "literal", value: true },
  ),
);

/** Rows with ids in the order of the list. */
function toRows(things: readonly Record<string, Value>[], prefix = "row"): Row[] {
  return things.map((thing, index) => ({ id: `${prefix}${String(index).padStart(3, "0")}`, ...thing }));
}

async function replaceRows(store: Store, rows: readonly Row[]): Promise<void> {
  await store.write(async (tx) => {
    await tx.deleteWhere("Thing", [], 10_000);
    for (const row of rows) await tx.insert("Thing", row);
  });
}

/** Whoever reads, and the rule that they read under. */
interface Watcher {
  readonly rule: Rule;
  readonly actor: Identity;
}

const anyWatcher: fc.Arbitrary<Watcher> = fc.record({ rule: anyReadRule, actor: anyIdentity });

interface View {
  readonly reader: DataReader;
  readonly shows: (row: Row) => boolean;
}

function viewOf(store: Store, { rule, actor }: Watcher): View {
  const policies = [{ name: "p", entity: "Thing", allowRead: printRule(rule) }];
  const model = createModel({ entities: [THING], policies, readOnly: new Set() });
  const judge = compileRule(rule);
  return {
    reader: createDataReader(model, store.reader, asCaller(actor)),
    shows: (row) => actor.isAdmin || judge({ auth: actor, data: row, existing: null }),
  };
}

interface Walk {
  readonly order: Order | undefined;
  readonly where?: readonly Condition[];
  readonly limit: number;
  readonly between?: (page: number) => Promise<void>;
}

async function walk(reader: DataReader, { order, where = [], limit, between }: Walk): Promise<Page[]> {
  const pages: Page[] = [];
  for (let cursor: string | null = null; ;) {
    const page: Page = await reader.page("Thing", { where, order, cursor, limit });
    pages.push(page);
    if (page.nextCursor === null) return pages;
    assert.ok(pages.length < 1_000, "The pages do not end");
    cursor = page.nextCursor;
    await between?.(pages.length);
  }
}

describe("pages, for any rows, rule, caller and order", () => {
  it("give exactly the visible rows in order, every page full but the last", () =>
    withData({ entities: [THING] }, async ({ store, data }) => {
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyThing, { maxLength: 40 }),
          anyWatcher,
          anyOrder,
          fc.integer({ min: 1, max: 12 }),
          async (things, watcher, order, limit) => {
            await replaceRows(store, toRows(things));
            const view = viewOf(store, watcher);
            const all = await data.read(AS_ADMIN).query("Thing", {
              ...(order ? { $order: { [order.column]: order.descending ? "desc" : "asc" } } : {}),
            });
            assert.equal(all.length, things.length);
            const expected = all.filter(view.shows);
            const pages = await walk(view.reader, { order, limit });
            assert.deepEqual(
              pages.flatMap(({ rows }) => rows),
              expected,
            );
            assert.equal(pages.length, Math.max(1, Math.ceil(expected.length / limit)));
            for (const { rows } of pages.slice(0, -1)) assert.equal(rows.length, limit);
          },
        ),
        { numRuns: 150 },
      );
    }));

  it("agree with $limit and $offset, and with get", () =>
    withData({ entities: [THING] }, async ({ store }) => {
      const counts = fc.record({ limit: fc.integer({ min: 0, max: 10 }), offset: fc.integer({ min: 0, max: 10 }) });
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyThing, { maxLength: 20 }),
          anyWatcher,
          counts,
          async (things, watcher, { limit, offset }) => {
            const rows = toRows(things);
            await replaceRows(store, rows);
            const view = viewOf(store, watcher);
            const visible = rows.filter(view.shows);
            const { reader } = view;
            assert.deepEqual(await reader.list("Thing"), visible);
            assert.deepEqual(
              await reader.query("Thing", { $limit: limit, $offset: offset }),
              visible.slice(offset, offset + limit),
            );
            assert.deepEqual(await reader.query("Thing", { $offset: offset }), visible.slice(offset));
            const mine = visible.find(({ owner }) => owner === "u1") ?? null;
            assert.deepEqual(await reader.lookup("Thing", "owner", "u1"), mine);
            for (const row of rows) assert.deepEqual(await reader.get("Thing", row.id), view.shows(row) ? row : null);
          },
        ),
        { numRuns: 100 },
      );
    }));

  it("show a row that stays exactly once, while others come and go", () =>
    withData({ entities: [THING] }, async ({ store }) => {
      const change = fc.record({ added: fc.array(anyThing, { maxLength: 3 }), removed: fc.nat(29) });
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyThing, { minLength: 10, maxLength: 30 }),
          anyWatcher,
          anyOrder,
          fc.array(change, { minLength: 1, maxLength: 8 }),
          async (things, watcher, order, changes) => {
            const rows = toRows(things);
            await replaceRows(store, rows);
            const view = viewOf(store, watcher);
            const gone = new Set<string>();
            const between = async (page: number): Promise<void> => {
              const next = changes[page - 1];
              if (!next) return;
              await store.write(async (tx) => {
                for (const row of toRows(next.added, `new${page}_`)) await tx.insert("Thing", row);
                const victim = rows[next.removed];
                if (victim && (await tx.delete("Thing", victim.id))) gone.add(victim.id);
              });
            };
            const pages = await walk(view.reader, { order, limit: 3, between });
            const seen = pages.flatMap((page) => page.rows.map(({ id }) => id));
            assert.equal(new Set(seen).size, seen.length);
            const stayed = rows.filter((row) => !gone.has(row.id) && view.shows(row));
            assert.deepEqual(
              stayed.filter(({ id }) => !seen.includes(id)),
              [],
            );
          },
        ),
        { numRuns: 80 },
      );
    }));
});
