// Who may do what: which rule answers for an operation, and what the write path makes of its answers.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ADMIN, ANONYMOUS, SYSTEM } from "../../src/core/identity.ts";
import { compileAccessRules, type Operation } from "../../src/data/access-rules.ts";
import { entity, field, policy } from "../../src/manifest/dsl.ts";
import type { PolicyDef } from "../../src/manifest/manifest.ts";
import { AS_ADMIN, asCaller, asFunction, AS_NOBODY, codeOf, userOf, withData } from "./data-harness.ts";

const NOTE = entity("Note", { ownerId: field.string(), tenantId: field.string(), text: field.string().optional() });
const ADA = userOf("ada", "org_1");
const BOB = userOf("bob", "org_2");
const OPERATIONS: readonly Operation[] = ["read", "insert", "update", "delete"];

function rulesOf(...policies: Omit<PolicyDef, "name" | "entity">[]): ReturnType<typeof compileAccessRules> {
  return compileAccessRules(
    NOTE,
    policies.map((rules, index) => policy({ name: `p${index}`, entity: "Note", ...rules })),
  );
}

function allowed(rules: ReturnType<typeof compileAccessRules>): readonly Operation[] {
  const row = { id: "1", ownerId: "ada", tenantId: "org_1", text: null };
  return OPERATIONS.filter((operation) => rules.allows(operation, ADA, { data: row, existing: row }));
}

describe("compileAccessRules()", () => {
  const cases: readonly (readonly [Omit<PolicyDef, "name" | "entity">, readonly Operation[]])[] = [
    [{ allow: "true" }, ["read", "insert", "update", "delete"]],
    [{ allowWrite: "true" }, ["insert", "update", "delete"]],
    [{ allowRead: "true" }, ["read"]],
    [{ allowInsert: "true" }, ["insert"]],
    [{ allowUpdate: "true" }, ["update"]],
    [{ allowDelete: "true" }, ["delete"]],
    [{ allow: "true", allowWrite: "false" }, ["read"]],
    [{ allow: "false", allowRead: "true" }, ["read"]],
    [{ allow: "true", allowWrite: "false", allowUpdate: "true" }, ["read", "update"]],
    [{ allow: "false", allowWrite: "true", allowDelete: "false" }, ["insert", "update"]],
  ];
  for (const [rules, operations] of cases) {
    it(`reads ${JSON.stringify(rules)} as ${operations.join(", ")}`, () => {
      assert.deepEqual(allowed(rulesOf(rules)), operations);
    });
  }

  it("asks for all policies that speak of an operation, and passes over those that do not", () => {
    assert.deepEqual(allowed(rulesOf({ allow: "true" }, { allowUpdate: "false" })), ["read", "insert", "delete"]);
    assert.deepEqual(allowed(rulesOf({ allowRead: "true" }, { allowInsert: "true" })), ["read", "insert"]);
    assert.deepEqual(allowed(rulesOf({ allow: "true" }, { allow: "false" })), []);
  });

  it("denies what no policy speaks of, and says so", () => {
    const rules = rulesOf({ allowRead: "true" });
    assert.equal(rules.governs("read"), true);
    assert.equal(rules.governs("delete"), false);
    assert.deepEqual(allowed(rulesOf()), []);
  });

  it("lets administrators through whatever the rules", () => {
    const rules = rulesOf({ allow: "false" });
    for (const actor of [ADMIN, SYSTEM]) {
      for (const operation of OPERATIONS) {
        assert.equal(rules.allows(operation, actor, { data: {}, existing: null }), true);
      }
      assert.deepEqual(rules.narrow(actor), []);
    }
  });

  it("narrows reads by every read rule, and to nothing when one can never hold", () => {
    const rules = rulesOf({ allowRead: "data.tenantId == auth.tenantId" }, { allow: "data.ownerId == auth.userId" });
    assert.deepEqual(rules.narrow(ADA), [
      { column: "tenantId", op: "eq", value: "org_1" },
      { column: "ownerId", op: "eq", value: "ada" },
    ]);
    assert.equal(rules.narrow(ANONYMOUS), undefined);
  });
});

const OWNED = policy({
  name: "owned",
  entity: "Note",
  allowRead: "data.tenantId == auth.tenantId",
  allowWrite: "data.ownerId == auth.userId",
});
const NEW_NOTE = { ownerId: "ada", tenantId: "org_1" };

describe("policies in the write path", () => {
  it("refuses an insert that the rule denies: 401 to the anonymous, 403 to others", () =>
    withData({ entities: [NOTE], policies: [OWNED] }, async ({ data }) => {
      assert.equal(await codeOf(data.insert(AS_NOBODY, "Note", NEW_NOTE)), "AUTH_REQUIRED");
      assert.equal(await codeOf(data.insert(asCaller(BOB), "Note", NEW_NOTE)), "POLICY_DENIED");
      assert.equal((await data.insert(asCaller(ADA), "Note", NEW_NOTE)).ownerId, "ada");
      assert.equal((await data.read(AS_ADMIN).list("Note")).length, 1);
    }));

  it("refuses everything that no policy speaks of to everyone but admin", () =>
    withData({ entities: [NOTE] }, async ({ data }) => {
      const row = await data.insert(AS_ADMIN, "Note", NEW_NOTE);
      for (const [scope, code] of [
        [AS_NOBODY, "AUTH_REQUIRED"],
        [asCaller(ADA), "POLICY_DENIED"],
      ] as const) {
        assert.equal(await codeOf(data.insert(scope, "Note", NEW_NOTE)), code);
        assert.equal(await codeOf(data.update(scope, "Note", row.id, { text: "x" })), code);
        assert.equal(await codeOf(data.delete(scope, "Note", row.id)), code);
        assert.equal(await codeOf(data.read(scope).get("Note", row.id)), code);
        assert.equal(await codeOf(data.read(scope).list("Note")), code);
        assert.equal(
          await codeOf(data.read(scope).page("Note", { where: [], order: undefined, cursor: null, limit: 1 })),
          code,
        );
      }
      assert.equal((await data.update(AS_ADMIN, "Note", row.id, { text: "x" }))?.text, "x");
    }));

  it("judges an update by the row before and by the row after", () =>
    withData({ entities: [NOTE], policies: [OWNED] }, async ({ data }) => {
      const mine = await data.insert(AS_ADMIN, "Note", NEW_NOTE);
      const theirs = await data.insert(AS_ADMIN, "Note", { ownerId: "bob", tenantId: "org_1" });
      // Giving a row away, and taking one.
      assert.equal(await codeOf(data.update(asCaller(ADA), "Note", mine.id, { ownerId: "bob" })), "POLICY_DENIED");
      assert.equal(await codeOf(data.update(asCaller(ADA), "Note", theirs.id, { ownerId: "ada" })), "POLICY_DENIED");
      assert.equal((await data.update(asCaller(ADA), "Note", mine.id, { text: "hello" }))?.text, "hello");
      assert.deepEqual(
        (await data.read(AS_ADMIN).list("Note")).map(({ ownerId }) => ownerId),
        ["ada", "bob"],
      );
    }));

  it("refuses to move a row into another tenant", () =>
    withData(
      {
        entities: [NOTE],
        policies: [policy({ name: "tenant", entity: "Note", allow: "data.tenantId == auth.tenantId" })],
      },
      async ({ data }) => {
        const row = await data.insert(asCaller(ADA), "Note", NEW_NOTE);
        const moved = data.update(asCaller(ADA), "Note", row.id, { tenantId: "org_2" });
        assert.equal(await codeOf(moved), "POLICY_DENIED");
        assert.equal(await data.update(asCaller(BOB), "Note", row.id, { tenantId: "org_2" }), null);
      },
    ));

  it("shows an update rule the row as it was in `existing`", () =>
    withData(
      {
        entities: [NOTE],
        policies: [
          policy({
            name: "once",
            entity: "Note",
            allowRead: "true",
            allowUpdate: "existing.text == null and existing.ownerId == auth.userId",
          }),
        ],
      },
      async ({ data }) => {
        const row = await data.insert(AS_ADMIN, "Note", NEW_NOTE);
        assert.equal((await data.update(asCaller(ADA), "Note", row.id, { text: "final" }))?.text, "final");
        assert.equal(await codeOf(data.update(asCaller(ADA), "Note", row.id, { text: "again" })), "POLICY_DENIED");
      },
    ));

  it("treats a row that the read rule hides as absent", () =>
    withData({ entities: [NOTE], policies: [OWNED] }, async ({ data }) => {
      // Bob would be allowed to write it, but cannot see it.
      const row = await data.insert(AS_ADMIN, "Note", { ownerId: "bob", tenantId: "org_1" });
      assert.equal(await data.update(asCaller(BOB), "Note", row.id, { text: "x" }), null);
      assert.equal(await data.delete(asCaller(BOB), "Note", row.id), null);
      assert.equal(await data.read(asCaller(BOB)).get("Note", row.id), null);
      assert.equal(await data.update(asCaller(BOB), "Note", "missing", { text: "x" }), null);
      assert.equal((await data.read(AS_ADMIN).get("Note", row.id))?.text, null);
    }));

  it("does not ask policies on behalf of functions", () =>
    withData(
      { entities: [NOTE], policies: [policy({ name: "no", entity: "Note", allow: "false" })] },
      async ({ data }) => {
        const scope = asFunction(ANONYMOUS);
        const row = await data.insert(scope, "Note", NEW_NOTE);
        assert.equal((await data.update(scope, "Note", row.id, { text: "x" }))?.text, "x");
        assert.equal((await data.read(scope).list("Note")).length, 1);
        assert.equal((await data.delete(scope, "Note", row.id))?.id, row.id);
      },
    ));

  it("counts policies inside a transaction as well", () =>
    withData({ entities: [NOTE], policies: [OWNED] }, async ({ data }) => {
      const work = data.write(asCaller(ADA), async (writer) => {
        await writer.insert("Note", NEW_NOTE);
        await writer.insert("Note", { ...NEW_NOTE, ownerId: "bob" });
      });
      assert.equal(await codeOf(work), "POLICY_DENIED");
      assert.deepEqual(await data.read(AS_ADMIN).list("Note"), []);
    }));
});
