// What the log records, for every way to write, and that it records it with the write or not at all.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { describe, it } from "node:test";
import canonicalize from "canonicalize";

import { SYSTEM } from "../../../src/core/identity.ts";
import { mutation, action } from "../../../src/functions/define.ts";
import type { AuditEntry } from "../../../src/plugins/audit-log/audit-entry.ts";
import { ORDER, START } from "../app-harness.ts";
import {
  checkpointOf,
  codesOf,
  entriesOf,
  SEQUENCED,
  UNCLUSTERED,
  SIGNED,
  SIGNING_KEY,
  verifyApp,
  withAudit,
} from "./audited-app.ts";
import { signedFields } from "./signed-fields.ts";

const keyId = createHash("sha256").update(SIGNING_KEY).digest("hex").slice(0, 8);

/** The signature as the contract describes it, by other means. */
function signatureOf(entry: AuditEntry): string {
  const payload = canonicalize([entry.salt, entry.before, entry.after]) ?? "";
  const payloadHash = createHash("sha256").update(payload).digest("hex");
  assert.equal(entry.payloadHash, payloadHash);
  const code = createHmac("sha256", SIGNING_KEY)
    .update(canonicalize(signedFields(entry)) ?? "")
    .digest("base64url");
  return `v1:${keyId}:${code}`;
}

describe("the audit log beside feature flags", () => {
  it("records an administrator's change of a flag, whatever entities it lists", () => {
    const plugins = [{ name: "feature_flags", config: { flags: { beta: { enabled: false } } } }];
    return withAudit({ plugins }, async (app) => {
      const changed = await app.ask("PATCH /api/admin/flags/beta", { token: "admin", json: { enabled: true } });
      assert.equal(changed.status, 200, changed.text);
      const [entry, ...others] = await entriesOf(app);
      assert.deepEqual(others, []);
      assert.deepEqual([entry?.entity, entry?.operation, entry?.actorType], ["FeatureFlag", "insert", "admin"]);
      assert.match(entry?.after ?? "", /enabled/);
    });
  });
});

for (const [name, setting] of [
  ["one writer", {}],
  ["many writers", SEQUENCED],
  ["a table of an earlier version", UNCLUSTERED],
] as const) {
  describe(`the audit log with ${name}`, () => {
    it("records insert, update and delete with the rows before and after", () =>
      withAudit(setting, async (app) => {
        const order = await app.insert("Order", { total: 5, note: "two" });
        await app.ask(`PATCH /api/entities/Order/${order.id}`, { token: "admin", json: { total: 6 } });
        await app.ask(`DELETE /api/entities/Order/${order.id}`, { token: "admin" });
        await app.rest();
        const entries = await entriesOf(app);
        assert.deepEqual(
          entries.map(({ seq, operation, entity, rowId, actorType }) => ({ seq, operation, entity, rowId, actorType })),
          ["insert", "update", "delete"].map((operation, seq) => ({
            seq,
            operation,
            entity: "Order",
            rowId: order.id,
            actorType: "admin",
          })),
        );
        const [inserted, updated, deleted] = entries.map(({ before, after }) => [
          before === null ? null : (JSON.parse(before) as unknown),
          after === null ? null : (JSON.parse(after) as unknown),
        ]);
        assert.deepEqual(inserted, [null, order]);
        assert.deepEqual(updated, [order, { ...order, total: 6 }]);
        assert.deepEqual(deleted, [{ ...order, total: 6 }, null]);
        assert.equal(entries[0]?.createdAt, new Date(START).toISOString());
      }));

    it("signs each entry as the contract says", () =>
      withAudit(setting, async (app) => {
        await app.insert("Order", { total: 5, note: 'quotes " and \u2028 and \u00e9 and \ud83d\ude00' });
        await app.rest();
        for (const entry of await entriesOf(app)) {
          assert.equal(entry.signature, signatureOf(entry));
          assert.match(entry.salt ?? "", /^[A-Za-z0-9_-]{22}$/);
        }
      }));

    it("proves itself against a checkpoint, and says what is not proven without one", () =>
      withAudit(setting, async (app) => {
        await Promise.all(Array.from({ length: 300 }, (_, total) => app.insert("Order", { total })));
        await app.rest();
        const alone = await verifyApp(app);
        assert.deepEqual([alone.verdict, codesOf(alone)], ["unproven", [["FRESHNESS_UNPROVEN", null]]]);
        const checkpoint = await checkpointOf(app);
        await app.insert("Order", { total: 1 });
        await app.rest();
        const report = await verifyApp(app, { checkpoints: [checkpoint] });
        assert.deepEqual([report.verdict, report.findings], ["intact", []]);
        assert.deepEqual([report.size, report.checked, report.provenSize, report.signed], [301, 301, 300, 301]);
        assert.match(report.sentence, /^Proven: entries 0 to 299 .* written at 2026-04-28T10:32:00\.000Z; .*\.$/);
      }));

    it("loses nothing when many write at once, and gives every place once", () =>
      withAudit(setting, async (app) => {
        const writes = Array.from({ length: 100 }, (_, total) => app.insert("Order", { total }));
        const rows = await Promise.all(writes);
        await app.rest();
        const entries = await entriesOf(app);
        assert.deepEqual(
          entries.map(({ seq }) => seq),
          rows.map((_, seq) => seq),
        );
        assert.deepEqual(new Set(entries.map(({ rowId }) => rowId)), new Set(rows.map(({ id }) => id)));
      }));

    it("takes up where it was after a restart", () =>
      withAudit(setting, async (app) => {
        await app.insert("Order", { total: 1 });
        await app.restart();
        await app.insert("Order", { total: 2 });
        await app.rest();
        const entries = await entriesOf(app);
        assert.deepEqual(
          entries.map(({ seq }) => seq),
          [0, 1],
        );
        assert.equal(new Set(entries.map(({ logId }) => logId)).size, 1);
      }));
  });
}

describe("who did it", () => {
  it("names user, tenant and request", () =>
    withAudit({ policies: [{ name: "all", entity: "Order", allow: "auth.userId != null" }] }, async (app) => {
      const minted = await app.ask("POST /api/auth/session", {
        token: "admin",
        json: { user_id: "usr_7", tenant_id: "org_3" },
      });
      const token = String(minted.json["token"]);
      const answer = await app.ask("POST /api/entities/Order", { token, json: { total: 1 } });
      const [entry] = await entriesOf(app);
      assert.deepEqual(
        [entry?.actorType, entry?.actorId, entry?.tenantId, entry?.requestId],
        ["user", "usr_7", "org_3", answer.headers.get("x-request-id")],
      );
    }));

  it("records transact, mutations, actions and what they schedule, each as who it was", () => {
    const place = mutation({
      handler: async (ctx) => {
        await ctx.db.insert("Order", { total: 1 });
        await ctx.scheduler.runAfter(1_000, "later", {});
      },
    });
    const later = mutation({ handler: (ctx) => ctx.db.insert("Order", { total: 2 }) });
    const act = action({ handler: (ctx) => ctx.db.insert("Order", { total: 3 }) });
    return withAudit({ functions: { place, later, act } }, async (app) => {
      const { token } = await app.pylon.auth.sessions.mint("usr_9", {});
      assert.equal((await app.ask("POST /api/fn/place", { token, json: {} })).status, 200);
      await app.advance(2_000);
      assert.equal((await app.ask("POST /api/fn/act", { token, json: {} })).status, 200);
      const operations = [{ op: "insert", entity: "Order", data: { total: 4 } }];
      assert.equal((await app.ask("POST /api/transact", { token: "admin", json: operations })).status, 200);
      const scope = { actor: SYSTEM, policies: false, requestId: "sync" };
      await app.pylon.data.insert(scope, "Order", { total: 5 });
      await app.store.write(async (tx) => {
        await app.pylon.data.within(scope, tx).insert("Order", { total: 6 });
      });
      const entries = await entriesOf(app);
      assert.deepEqual(
        entries.map(({ after, actorType, actorId }) => [
          (JSON.parse(after ?? "{}") as { total: number }).total,
          actorType,
          actorId,
        ]),
        [
          [1, "user", "usr_9"],
          [2, "user", "usr_9"],
          [3, "user", "usr_9"],
          [4, "admin", null],
          [5, "system", null],
          [6, "system", null],
        ],
      );
      assert.ok(entries.every(({ requestId }) => requestId !== null));
    });
  });
});

describe("what is not recorded", () => {
  it("an excluded field, anywhere", () =>
    withAudit({ audit: { ...SIGNED, exclude_fields: ["note"] } }, async (app) => {
      const order = await app.insert("Order", { total: 1, note: "the-secret-of-the-order" });
      await app.ask(`PATCH /api/entities/Order/${order.id}`, {
        token: "admin",
        json: { note: "the-secret-of-tomorrow" },
      });
      const entries = await entriesOf(app);
      assert.equal(entries.length, 2);
      assert.ok(entries.every(({ before, after }) => !`${before}${after}`.includes("note")));
      const listed = await app.ask("GET /api/admin/audit", { token: "admin" });
      assert.ok(!listed.text.includes("the-secret"));
      assert.ok(!JSON.stringify(app.logged).includes("the-secret"));
    }));

  it("anything but the included fields", () =>
    withAudit({ audit: { ...SIGNED, include_fields: ["total"] } }, async (app) => {
      const order = await app.insert("Order", { total: 1, note: "n" });
      const [entry] = await entriesOf(app);
      assert.deepEqual(JSON.parse(entry?.after ?? ""), { id: order.id, total: 1 });
    }));

  it("other entities, and writes that did not happen", () =>
    withAudit(
      { entities: [{ ...ORDER }, { name: "Other", fields: [{ name: "name", type: "string" }] }] },
      async (app) => {
        await app.insert("Other", { name: "x" });
        await app.insert("Order", { total: 1, ref: "a" });
        const again = await app.ask("POST /api/entities/Order", { token: "admin", json: { total: 2, ref: "a" } });
        assert.equal(again.status, 409);
        const both = [
          { op: "insert", entity: "Order", data: { total: 3 } },
          { op: "insert", entity: "Order", data: { total: 4, ref: "a" } },
        ];
        assert.equal((await app.ask("POST /api/transact", { token: "admin", json: both })).status, 409);
        assert.equal((await entriesOf(app)).length, 1);
      },
    ));
});

describe("an entry that cannot be written", () => {
  it("takes the write with it, and nobody else's", () =>
    withAudit(
      {
        audit: { ...SIGNED, strict: true },
        entities: [{ ...ORDER }, { name: "Other", fields: [{ name: "name", type: "string" }] }],
      },
      async (app) => {
        await app.insert("Order", { total: 1 });
        await app.store.write((tx) => tx.delete("_pylon_audit_head", "head"));
        const [refused, fine] = await Promise.all([
          app.ask("POST /api/entities/Order", { token: "admin", json: { total: 2 } }),
          app.ask("POST /api/entities/Other", { token: "admin", json: { name: "x" } }),
        ]);
        assert.deepEqual([refused.status, refused.code], [500, "AUDIT_HEAD_MISSING"]);
        assert.equal(fine.status, 201);
        const orders = await app.ask("GET /api/entities/Order", { token: "admin" });
        assert.equal((orders.json["data"] as unknown[]).length, 1);
      },
    ));

  it("leaves nothing behind: what is written next gets the places", () =>
    withAudit({ audit: { ...SIGNED, strict: true } }, async (app) => {
      const insertTogether = (from: number): Promise<{ status: number; code: unknown }[]> =>
        Promise.all(
          Array.from({ length: 12 }, (_, index) =>
            app.ask("POST /api/entities/Order", { token: "admin", json: { total: from + index } }),
          ),
        );
      await app.insert("Order", { total: 0 });
      const [entry] = await entriesOf(app);
      await app.store.write((tx) => tx.insert("AuditLog", { ...entry, id: "stray", seq: 10 }));
      const refused = (await insertTogether(1)).filter(({ code }) => code === "AUDIT_PLACE_TAKEN");
      assert.ok(refused.length > 0);
      await app.store.write((tx) => tx.delete("AuditLog", "stray"));
      assert.ok((await insertTogether(20)).every(({ status }) => status === 201));
      const rows = await app.store.reader.count("Order", []);
      assert.equal(rows, 1 + 24 - refused.length);
      const report = await verifyApp(app);
      assert.deepEqual([codesOf(report), report.size], [[["FRESHNESS_UNPROVEN", null]], rows]);
    }));

  it("nobody writes the log through the API", () =>
    withAudit({}, async (app) => {
      await app.insert("Order", { total: 1 });
      const [entry] = await entriesOf(app);
      const at = `/api/entities/AuditLog/${entry?.id}`;
      for (const target of [`PATCH ${at}`, `DELETE ${at}`, "POST /api/entities/AuditLog"]) {
        const answer = await app.ask(target, { token: "admin", json: { operation: "x" } });
        assert.deepEqual([target, answer.code], [target, "READ_ONLY"]);
      }
    }));
});
