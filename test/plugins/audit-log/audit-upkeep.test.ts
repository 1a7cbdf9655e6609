// What happens to a log as time goes by: checkpoints on a schedule and in a file, entries that are too old, entries that a
// process left without a place; and the pages of the API.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createVirtualClock } from "../../../src/core/clock.ts";
import { portableSha256 } from "../../../src/crypto/sha256.ts";
import { auditConfig } from "../../../src/plugins/audit-log/audit-config.ts";
import { createRetention } from "../../../src/plugins/audit-log/retention.ts";
import { splitNotes } from "../../../src/plugins/audit-log/anchors.ts";
import { storeSource } from "../../../src/plugins/audit-log/audit-source.ts";
import { type TestApp } from "../app-harness.ts";
import {
  checkpointOf,
  codesOf,
  entriesOf,
  SEQUENCED,
  SIGNED,
  verifyApp,
  verifyAsItIs,
  withAudit,
} from "./audited-app.ts";
import { createLogFile } from "./log-file.ts";

const DAY_MS = 86_400_000;
const CONFIG = auditConfig.parse({ entities: ["Order"] });

async function insertMany(app: TestApp, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, total) => app.insert("Order", { total })));
  await app.rest();
}

describe("checkpoints", () => {
  it("are made after writes, once for each stretch of time, and appended to the file", async () => {
    const files = new Map<string, string>();
    const appendFile = async (path: string, text: string): Promise<void> => {
      files.set(path, (files.get(path) ?? "") + text);
    };
    const audit = { ...SIGNED, checkpoint_secs: 30, checkpoint_file: "evidence/log.txt" };
    await withAudit({ audit, appendFile }, async (app) => {
      await app.advance(31_000);
      assert.equal(files.get("evidence/log.txt"), "");
      await insertMany(app, 5);
      await app.advance(31_000);
      await app.advance(31_000);
      await insertMany(app, 5);
      await app.advance(31_000);
      const notes = splitNotes(files.get("evidence/log.txt") ?? "");
      assert.deepEqual(
        notes.map((note) => note.split("\n")[1]),
        ["5", "10"],
      );
      const report = await verifyApp(app, { checkpoints: notes });
      assert.deepEqual([report.verdict, report.provenSize], ["intact", 10]);
    });
  });

  it("keep an application from starting when their file cannot be written", () =>
    assert.rejects(
      withAudit(
        {
          audit: { ...SIGNED, checkpoint_file: "/dev/null/log.txt" },
          appendFile: () => Promise.reject(new Error("ENOTDIR: not a directory")),
        },
        async () => undefined,
      ),
      { code: "AUDIT_FILE_UNWRITABLE", message: /"\/dev\/null\/log\.txt": ENOTDIR/ },
    ));

  it("of one size are one", () =>
    withAudit({}, async (app) => {
      await insertMany(app, 3);
      const notes = await Promise.all([checkpointOf(app), checkpointOf(app), checkpointOf(app)]);
      assert.equal(new Set(notes).size, 1);
    }));

  it("need a key, and the log is recorded without one", () =>
    withAudit({ audit: { entities: ["Order"] } }, async (app) => {
      await insertMany(app, 2);
      for (const path of ["checkpoint", "key"]) {
        const answer = await app.ask(`GET /api/admin/audit/${path}`, { token: "admin" });
        assert.deepEqual([answer.status, answer.code], [409, "AUDIT_NO_KEY"]);
      }
      const report = await verifyApp(app, { signingKeys: [] });
      assert.equal(report.verdict, "unproven");
      assert.deepEqual(codesOf(report), [
        ["UNSIGNED", 0],
        ["UNSIGNED", 1],
        ["FRESHNESS_UNPROVEN", null],
      ]);
    }));

  it("prove an unsigned log as well, when the log has a key of its own", () =>
    withAudit(
      { audit: { entities: ["Order"], log_key_env: "LOG_KEY" }, env: { LOG_KEY: "ab".repeat(32) } },
      async (app) => {
        await insertMany(app, 4);
        const { text } = await app.ask("GET /api/admin/audit/key", { token: "admin" });
        const evidence = { signingKeys: [], verifierKeys: [text], checkpoints: [await checkpointOf(app)] };
        assert.deepEqual([(await verifyApp(app, evidence)).verdict], ["intact"]);
      },
    ));
});

describe("retention", () => {
  it("removes whole tiles that are too old, says so in the log, and what is left is proven", async () => {
    const file = await createLogFile();
    try {
      const note = await file.write(async ({ store, log, record, checkpoints }) => {
        await record(600);
        const retire = async (ageDays: number): Promise<number> => {
          const clock = createVirtualClock(Date.now() + ageDays * DAY_MS);
          return createRetention({
            store,
            log,
            sha256: portableSha256,
            clock,
            config: { ...CONFIG, retention_days: 30 },
          })(500);
        };
        assert.equal(await retire(-20_000), 0);
        await retire(40);
        await retire(40);
        return (await checkpoints.current()).note;
      });
      const report = await file.verify({ checkpoints: [note] });
      assert.deepEqual([report.verdict, report.retainedFrom, report.size, report.findings], ["intact", 576, 601, []]);
      // The same rows gone, and no cut that says so.
      file.edit((db) => db.exec("UPDATE AuditLog SET operation = 'x' WHERE operation = 'cut'"));
      const silent = (await file.verify()).findings;
      assert.ok(silent.some(({ code, seq, count }) => code === "ROW_MISSING" && seq === 0 && count === 576));
    } finally {
      await file.remove();
    }
  });
});

describe("the sequencer", () => {
  it("takes what another process left behind", () =>
    withAudit({ ...SEQUENCED }, async (app) => {
      await insertMany(app, 3);
      const [last] = (await entriesOf(app)).slice(-1);
      assert.ok(last);
      // An entry that was committed and not sequenced: the process is gone.
      await app.store.write(async (tx) => {
        await tx.insert("AuditLog", { ...last, id: "01M7Z0Y1JX83CYHC84CC170W98", seq: null });
      });
      const before = await verifyAsItIs(app);
      assert.equal(before.pending, 1);
      await app.restart();
      await app.rest();
      assert.equal((await verifyApp(app)).pending, 0);
      assert.equal((await entriesOf(app)).length, 4);
    }));

  it("two at once never give a place twice", () =>
    withAudit(SEQUENCED, async (app) => {
      await withAudit(SEQUENCED, async () => undefined);
      await Promise.all([insertMany(app, 60), insertMany(app, 60)]);
      const seqs = (await entriesOf(app)).map(({ seq }) => seq);
      assert.deepEqual(
        seqs,
        seqs.map((_, index) => index),
      );
      assert.equal(seqs.length, 120);
    }));
});

describe("a checkpoint", () => {
  it("comes while many write, and has everything that was written before it was asked for", () =>
    withAudit({}, async (app) => {
      let isOver = false;
      let written = 0;
      const write = async (): Promise<void> => {
        for (; !isOver; written++) await app.insert("Order", { total: written });
      };
      const writers = Array.from({ length: 8 }, write);
      const startedMs = performance.now();
      for (let size = 0; size < 400;) {
        const before = written;
        const [, text = ""] = (await checkpointOf(app)).split("\n");
        size = Number(text);
        assert.ok(size >= before, `${size} of ${before}`);
        assert.ok(performance.now() - startedMs < 30_000, "checkpoints do not keep up");
      }
      isOver = true;
      await Promise.all(writers);
      assert.equal((await verifyApp(app)).verdict === "tampered", false);
      assert.equal((await entriesOf(app)).length, written);
    }));
});

describe("incremental verification", () => {
  it("begins at the checkpoint, and finds that what lies before it is another log", () =>
    withAudit({}, async (app) => {
      await insertMany(app, 300);
      const checkpoint = await checkpointOf(app);
      await insertMany(app, 20);
      const report = await verifyApp(app, { checkpoints: [checkpoint], incremental: true });
      assert.deepEqual([report.verdict, report.checked, report.size], ["intact", 20, 320]);
      await app.store.write(async (tx) => {
        const tile = await tx.get("_pylon_audit_tiles", "1-000000000000");
        const hashes = new Uint8Array(tile?.["hashes"] as Uint8Array);
        hashes[0] = (hashes[0] ?? 0) ^ 1;
        await tx.update("_pylon_audit_tiles", "1-000000000000", { hashes });
      });
      const forked = await verifyApp(app, { checkpoints: [checkpoint], incremental: true });
      assert.ok(codesOf(forked).some(([code, seq]) => code === "FORK" && seq === 299));
    }));
});

describe("the list of entries", () => {
  it("is filtered, newest first, and paged", () =>
    withAudit({}, async (app) => {
      const order = await app.insert("Order", { total: 1 });
      app.jump(60_000);
      await app.ask(`PATCH /api/entities/Order/${order.id}`, { token: "admin", json: { total: 2 } });
      const between = new Date(app.now() - 30_000).toISOString();
      await insertMany(app, 5);
      const ask = async (query: string): Promise<{ seqs: unknown[]; next: unknown }> => {
        const { status, json, text } = await app.ask(`GET /api/admin/audit${query}`, { token: "admin" });
        assert.equal(status, 200, text);
        return { seqs: (json["data"] as { seq: number }[]).map(({ seq }) => seq), next: json["next_cursor"] };
      };
      assert.deepEqual((await ask("")).seqs, [6, 5, 4, 3, 2, 1, 0]);
      assert.deepEqual((await ask(`?rowId=${order.id}&entity=Order`)).seqs, [1, 0]);
      assert.deepEqual((await ask("?operation=update")).seqs, [1]);
      assert.deepEqual((await ask(`?to=${between}`)).seqs, [0]);
      assert.deepEqual((await ask(`?from=${between}&limit=3`)).seqs, [6, 5, 4]);
      const first = await ask("?limit=4");
      assert.deepEqual((await ask(`?limit=4&cursor=${String(first.next)}`)).seqs, [2, 1, 0]);
      for (const query of ["?from=yesterday", "?limit=0", "?what=x"]) {
        assert.equal((await app.ask(`GET /api/admin/audit${query}`, { token: "admin" })).status, 400);
      }
      for (const cursor of ["", "zzz", "%00", String(first.next).toLowerCase(), `${String(first.next)}0`]) {
        const answer = await app.ask(`GET /api/admin/audit?cursor=${cursor}`, { token: "admin" });
        assert.deepEqual([answer.status, answer.code], [400, "INVALID_CURSOR"], cursor);
      }
    }));

  it("does not prove what is not there", () =>
    withAudit({}, async (app) => {
      await insertMany(app, 2);
      const ask = async (path: string): Promise<unknown> =>
        (await app.ask(`GET /api/admin/audit/proof/${path}`, { token: "admin" })).status;
      assert.deepEqual(
        [await ask("inclusion?seq=2"), await ask("inclusion?seq=-1"), await ask("consistency?from=1&to=3")],
        [404, 400, 404],
      );
      assert.deepEqual([await ask("consistency?from=0&to=2"), await ask("consistency?from=2&to=1")], [400, 400]);
      assert.equal(await storeSource(app.store.reader).firstSeq(), 0);
    }));
});
