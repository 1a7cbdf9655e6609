// People as rows of the application: found, created once, and created through the write path.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Change } from "../../src/data/change.ts";
import { appMemberships, appUsers } from "../../src/instance/app-users.ts";
import { entity, field } from "../../src/manifest/dsl.ts";
import type { EntityDef } from "../../src/manifest/manifest.ts";
import { AS_ADMIN, asFunction, codeOf, type DataHarness, userOf, withData } from "../data/data-harness.ts";

const USER = entity("User", {
  email: field.string(),
  name: field.string().optional(),
  roles: field.json().optional(),
});
const UNIQUE_USER = entity("User", { email: field.string().unique(), roles: field.json().optional() });
const FN = asFunction(userOf("ada"));

async function withUsers(
  definition: EntityDef,
  run: (harness: DataHarness & { readonly users: NonNullable<ReturnType<typeof appUsers>> }) => Promise<void>,
): Promise<void> {
  await withData({ entities: [definition] }, async (harness) => {
    const users = appUsers(harness.data.model, () => harness.data);
    assert.ok(users);
    await run({ ...harness, users });
  });
}

describe("appUsers()", () => {
  it("is there when the application has users with an address", () =>
    withData(
      { entities: [entity("User", { login: field.string() }), entity("Person", { email: field.string() })] },
      async ({ data }) => {
        assert.equal(
          appUsers(data.model, () => data),
          undefined,
        );
      },
    ));

  it("finds whom the application has created, with roles", () =>
    withUsers(USER, async ({ data, users }) => {
      const row = await data.insert(FN, "User", { email: "ada@example.com", roles: ["editor", 5, "owner"] });
      const expected = { id: row.id, email: "ada@example.com", roles: ["editor", "owner"] };
      assert.deepEqual(await users.findOrCreate("ada@example.com"), expected);
      assert.deepEqual(await users.findById(row.id), expected);
      assert.equal(await users.findById("nobody"), null);
      await data.update(FN, "User", row.id, { roles: "admin" });
      assert.deepEqual((await users.findById(row.id))?.roles, []);
    }));

  for (const [name, definition] of [
    ["unique", UNIQUE_USER],
    ["not unique", USER],
  ] as const) {
    it(`creates one row for sign-ups at once, when addresses are ${name}`, () =>
      withUsers(definition, async ({ data, users }) => {
        const found = await Promise.all(Array.from({ length: 8 }, () => users.findOrCreate("new@example.com")));
        const rows = await data.read(AS_ADMIN).list("User");
        assert.equal(rows.length, 1);
        assert.deepEqual(new Set(found.map(({ id }) => id)), new Set([rows[0]?.id]));
      }));
  }

  it("takes the row of whoever was faster", () =>
    withUsers(UNIQUE_USER, async ({ data, users }) => {
      const [first, row] = await Promise.all([
        users.findOrCreate("new@example.com"),
        data.insert(FN, "User", { email: "new@example.com" }).catch(() => null),
      ]);
      const rows = await data.read(AS_ADMIN).list("User");
      assert.deepEqual(
        rows.map(({ id }) => id),
        [first.id],
      );
      assert.ok(row === null || row.id === first.id);
    }));

  it("writes through the write path, so that hooks see a sign-up", () => {
    const changes: Change[] = [];
    const hooks = { within: (change: Change): void => void changes.push(change) };
    return withData({ entities: [USER], hooks: [hooks] }, async ({ data }) => {
      const users = appUsers(data.model, () => data);
      const user = await users?.findOrCreate("new@example.com");
      assert.equal(changes.length, 1);
      assert.equal(changes[0]?.id, user?.id);
      assert.equal(changes[0]?.actor.kind, "system");
    });
  });

  it("blames the application, not the visitor, for a User that needs more than an email", () =>
    withUsers(entity("User", { email: field.string(), plan: field.string() }), async ({ users }) => {
      assert.equal(await codeOf(users.findOrCreate("new@example.com")), "CONFIG_INVALID");
    }));
});

describe("appMemberships()", () => {
  it("is there when the application has members of organisations", () =>
    withData({ entities: [entity("OrgMember", { userId: field.string() })] }, async ({ data }) => {
      assert.equal(
        appMemberships(data.model, () => data),
        undefined,
      );
    }));

  it("answers the role, or that there is none", () =>
    withData(
      {
        entities: [
          entity("OrgMember", { userId: field.string(), orgId: field.string(), role: field.string().optional() }),
        ],
      },
      async ({ data }) => {
        const members = appMemberships(data.model, () => data);
        await data.insert(FN, "OrgMember", { userId: "ada", orgId: "org_1", role: "owner" });
        await data.insert(FN, "OrgMember", { userId: "bob", orgId: "org_1" });
        await data.insert(FN, "OrgMember", { userId: "cem", orgId: "org_1", role: "" });
        assert.equal(await members?.roleOf("ada", "org_1"), "owner");
        assert.equal(await members?.roleOf("bob", "org_1"), "member");
        assert.equal(await members?.roleOf("cem", "org_1"), "member");
        assert.equal(await members?.roleOf("ada", "org_2"), null);
        assert.equal(await members?.roleOf("dan", "org_1"), null);
      },
    ));

  it("works without a role in the entity", () =>
    withData(
      { entities: [entity("OrgMember", { userId: field.string(), orgId: field.string() })] },
      async ({ data }) => {
        await data.insert(FN, "OrgMember", { userId: "ada", orgId: "org_1" });
        assert.equal(await appMemberships(data.model, () => data)?.roleOf("ada", "org_1"), "member");
      },
    ));
});
