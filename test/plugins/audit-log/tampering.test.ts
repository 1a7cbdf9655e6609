// Each class of the threat model, done to the file itself, and the finding that it must give. The log has 300 entries: four
// full tiles and a part of the next.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

import { storeSource } from "../../../src/plugins/audit-log/audit-source.ts";
import { type AuditReport, verifyAudit } from "../../../src/plugins/audit-log/verify-audit.ts";
import { canonicalJson } from "../../../src/core/canonical-json.ts";
import { redactRow } from "../../../src/plugins/audit-log/redact.ts";
import { createSystemClock } from "../../../src/core/clock.ts";
import { createLogFile, KEY, type LogFile, uncluster } from "./log-file.ts";

let original: LogFile;
let checkpoint: string;
let copies = 0;

beforeAll(async () => {
  original = await createLogFile();
  await original.write(async ({ record, checkpoints }) => {
    await record(200);
    await checkpoints.current();
    await record(100);
    checkpoint = (await checkpoints.current()).note;
  });
});

afterAll(async () => {
  await original?.remove();
});

function tampered(edit: (db: DatabaseSync) => void): LogFile {
  const file = original.copy(`copy-${copies++}`);
  file.edit(edit);
  return file;
}

const found = (report: AuditReport): [string, number | null][] => report.findings.map(({ code, seq }) => [code, seq]);

function rowAtFirst(): Row {
  let row: Row = {};
  original.edit((db) => {
    row = rowAt(db, 0);
  });
  return row;
}

interface Row {
  readonly [column: string]: string | number | null;
}

function rowAt(db: DatabaseSync, seq: number): Row {
  return db.prepare("SELECT * FROM AuditLog WHERE seq = ?").get(seq) as Row;
}

/** What somebody who has the signing key writes. */
function resign(row: Row): { payloadHash: string; signature: string } {
  const payload = canonicalJson([row["salt"] ?? null, row["before"] ?? null, row["after"] ?? null]);
  const payloadHash = createHash("sha256").update(payload).digest("hex");
  const names = ["logId", "id", "actorType", "actorId", "tenantId", "entity", "rowId", "operation"];
  const signed = canonicalJson([
    "pylon-audit-v1",
    ...names.map((name) => row[name] ?? null),
    payloadHash,
    row["createdAt"] ?? null,
  ]);
  const keyId = createHash("sha256").update(KEY).digest("hex").slice(0, 8);
  return { payloadHash, signature: `v1:${keyId}:${createHmac("sha256", KEY).update(signed).digest("base64url")}` };
}

describe("an untouched log", () => {
  test("is intact with a checkpoint, and unproven without one", async () => {
    expect(await original.verify({ checkpoints: [checkpoint] })).toMatchObject({
      verdict: "intact",
      findings: [],
      checked: 300,
    });
    expect(found(await original.verify())).toEqual([["FRESHNESS_UNPROVEN", null]]);
  });
});

describe("modify", () => {
  const columns = ["actorType", "actorId", "tenantId", "entity", "rowId", "operation", "createdAt", "logId", "id"];
  for (const column of columns) {
    test(`${column} is signed`, async () => {
      const report = await tampered((db) => db.exec(`UPDATE AuditLog SET ${column} = 'x' WHERE seq = 17`)).verify();
      expect(report.verdict).toBe("tampered");
      expect(found(report)).toContainEqual(["MAC_BAD", 17]);
      expect(found(report)).toContainEqual(["LEAF_MISMATCH", 17]);
      expect(new Set(report.findings.flatMap(({ seq }) => seq ?? []))).toEqual(new Set([17]));
    });
  }
  for (const column of ["before", "after", "salt"]) {
    test(`${column} is committed to`, async () => {
      const report = await tampered((db) => db.exec(`UPDATE AuditLog SET ${column} = '{}' WHERE seq = 270`)).verify();
      expect(found(report).filter(([code]) => code !== "FRESHNESS_UNPROVEN")).toEqual([
        ["PAYLOAD_MISMATCH", 270],
        ["MAC_BAD", 270],
        ["LEAF_MISMATCH", 270],
      ]);
    });
  }
  test("requestId is sealed, also against who changes the seal's text with it", async () => {
    const edited = tampered((db) => db.exec("UPDATE AuditLog SET requestId = 'other' WHERE seq = 3"));
    expect(found(await edited.verify())).toContainEqual(["REQUEST_MISMATCH", 3]);
    const both = tampered((db) => {
      const { requestId } = rowAt(db, 3);
      db.exec("UPDATE AuditLog SET requestId = 'other' WHERE seq = 3");
      db.exec(
        `UPDATE _pylon_audit_tiles SET requests = replace(requests, '${requestId}' || char(10), 'other' || char(10)) WHERE id = '0-000000000000'`,
      );
    });
    expect(found(await both.verify())).toContainEqual(["SEAL_BAD", 0]);
  });
  test("a seal that was broken is not made good by the entries that follow", async () => {
    const file = tampered((db) => db.exec("UPDATE AuditLog SET requestId = 'other' WHERE seq = 299"));
    file.edit((db) => {
      const { requests } = db.prepare("SELECT requests FROM _pylon_audit_tiles WHERE id = '0-000000000004'").get() as {
        requests: string;
      };
      const lines = requests.replace(/[^\n]*$/, "other");
      db.prepare("UPDATE _pylon_audit_tiles SET requests = ? WHERE id = '0-000000000004'").run(lines);
    });
    await file.write(({ record }) => record(5));
    expect(found(await file.verify())).toContainEqual(["SEAL_BAD", 256]);
  });
});

describe("forge", () => {
  test("a row without the key", async () => {
    const report = await tampered((db) => {
      uncluster(db);
      const row = rowAt(db, 5);
      const names = Object.keys(row);
      const forged = { ...row, id: "01M7Z0Y1JX83CYHC84CC170W99", seq: null };
      db.prepare(
        `INSERT INTO AuditLog (${names.map((name) => `"${name}"`).join(",")}) VALUES (${names.map(() => "?").join(",")})`,
      ).run(...names.map((name) => (forged as Row)[name] ?? null));
    }).verify();
    expect(report).toMatchObject({ verdict: "tampered", pending: 1 });
    expect(found(report)).toContainEqual(["MAC_BAD", null]);
  });
  test("a row behind the end", async () => {
    const report = await tampered((db) => {
      const row = rowAt(db, 299);
      const names = Object.keys(row);
      const next = { ...row, id: "01ZZZZZZZZZZZZZZZZZZZZZZZZ", seq: 300 } as Row;
      const signed = { ...next, ...resign(next) } as Row;
      db.prepare(
        `INSERT INTO AuditLog (${names.map((name) => `"${name}"`).join(",")}) VALUES (${names.map(() => "?").join(",")})`,
      ).run(...names.map((name) => signed[name] ?? null));
    }).verify();
    expect(found(report)).toContainEqual(["ROW_UNEXPECTED", 300]);
  });
  for (const seq of [-5n, 9_007_199_254_740_993n, 9_223_372_036_854_775_807n]) {
    test(`a row at the place ${seq}, which is none`, async () => {
      const names = Object.keys(rowAtFirst());
      const columns = names.map((name) => (name === "id" ? "'01FORGED'" : name === "seq" ? `${seq}` : `"${name}"`));
      const file = tampered((db) =>
        db.exec(`INSERT INTO AuditLog (${names.map((name) => `"${name}"`).join(", ")})
        SELECT ${columns.join(", ")} FROM AuditLog WHERE seq = 5`),
      );
      for (const report of [await file.verify({ checkpoints: [checkpoint] }), await file.verify()]) {
        expect(report.verdict).toBe("tampered");
        expect(found(report)).toContainEqual(["ROW_UNEXPECTED", Number(seq)]);
      }
      // The way in which a live Postgres is read.
      const live = await file.write(({ store }) =>
        verifyAudit(storeSource(store.reader), { signingKeys: [KEY], checkpoints: [checkpoint] }),
      );
      expect(found(live)).toContainEqual(["ROW_UNEXPECTED", Number(seq)]);
    });
  }
  test("an unsigned row in a signed log", async () => {
    const report = await tampered((db) => db.exec("UPDATE AuditLog SET signature = NULL WHERE seq = 40")).verify();
    expect(found(report)).toContainEqual(["UNSIGNED", 40]);
    expect(report.verdict).toBe("tampered");
  });
  test("a row with a key of one's own", async () => {
    const report = await tampered((db) =>
      db.exec("UPDATE AuditLog SET signature = replace(signature, substr(signature, 4, 8), 'deadbeef') WHERE seq = 40"),
    ).verify();
    expect(found(report)).toContainEqual(["UNKNOWN_KEY", 40]);
    expect(found(report)).toContainEqual(["LEAF_MISMATCH", 40]);
  });
});

describe("key theft", () => {
  test("a row that was signed again does not fit the tree", async () => {
    const report = await tampered((db) => {
      db.exec("UPDATE AuditLog SET after = '{}' WHERE seq = 120");
      const { payloadHash, signature } = resign(rowAt(db, 120));
      db.prepare("UPDATE AuditLog SET payloadHash = ?, signature = ? WHERE seq = 120").run(payloadHash, signature);
    }).verify();
    expect(found(report).filter(([code]) => code !== "FRESHNESS_UNPROVEN")).toEqual([["LEAF_MISMATCH", 120]]);
  });
});

describe("delete", () => {
  test("in the middle", async () => {
    const report = await tampered((db) => db.exec("DELETE FROM AuditLog WHERE seq IN (99, 256)")).verify();
    expect(found(report).filter(([code]) => code === "ROW_MISSING")).toEqual([
      ["ROW_MISSING", 99],
      ["ROW_MISSING", 256],
    ]);
  });
  test("at the end", async () => {
    const report = await tampered((db) => db.exec("DELETE FROM AuditLog WHERE seq >= 298")).verify();
    expect(found(report)).toContainEqual(["ROW_MISSING", 298]);
    expect(found(report)).toContainEqual(["ROW_MISSING", 299]);
  });
  test("at the beginning, with the tile that held it", async () => {
    const report = await tampered((db) => {
      db.exec("DELETE FROM AuditLog WHERE seq < 64");
      db.exec("DELETE FROM _pylon_audit_tiles WHERE id = '0-000000000000'");
    }).verify();
    expect(report.findings).toContainEqual(expect.objectContaining({ code: "ROW_MISSING", seq: 0, count: 64 }));
  });
  test("everything, head and all", async () => {
    const all = tampered((db) => db.exec("DELETE FROM AuditLog; DELETE FROM _pylon_audit_head"));
    expect((await all.verify()).verdict).toBe("unproven");
    // Whoever has kept a checkpoint knows better.
    const report = await all.verify({ checkpoints: [checkpoint] });
    expect(report.verdict).toBe("tampered");
    expect(report.findings).toContainEqual(expect.objectContaining({ code: "SIZE_REGRESSION", seq: 0, count: 300 }));
    const forged = checkpoint.replace("\n300\n", "\n299\n");
    expect((await all.verify({ checkpoints: [forged] })).verdict).toBe("unproven");
    const head = tampered((db) => db.exec("DELETE FROM _pylon_audit_head"));
    expect(found(await head.verify())).toEqual([["HEAD_MISSING", 0]]);
    const rows = tampered((db) => db.exec("DELETE FROM AuditLog"));
    expect(found(await rows.verify())).toContainEqual(["ROW_MISSING", 0]);
  });
});

describe("order", () => {
  test("two rows change places", async () => {
    const report = await tampered((db) => {
      db.exec(
        "UPDATE AuditLog SET seq = -1 WHERE seq = 10; UPDATE AuditLog SET seq = 10 WHERE seq = 20; UPDATE AuditLog SET seq = 20 WHERE seq = -1",
      );
    }).verify();
    expect(found(report).filter(([code]) => code === "LEAF_MISMATCH")).toEqual([
      ["LEAF_MISMATCH", 10],
      ["LEAF_MISMATCH", 20],
    ]);
  });
  test("a valid row is replayed in another's place", async () => {
    const report = await tampered((db) => {
      const { signature, after } = rowAt(db, 11);
      db.prepare("UPDATE AuditLog SET signature = ?, after = ? WHERE seq = 12").run(signature ?? null, after ?? null);
    }).verify();
    expect(found(report)).toContainEqual(["MAC_BAD", 12]);
  });
});

describe("another history", () => {
  test("a row of another database", async () => {
    const other = await createLogFile();
    try {
      await other.write(({ record }) => record(10));
      let foreign: Row = {};
      other.edit((db) => {
        foreign = rowAt(db, 4);
      });
      const report = await tampered((db) => {
        const names = Object.keys(foreign);
        db.prepare(`UPDATE AuditLog SET ${names.map((name) => `"${name}" = ?`).join(", ")} WHERE seq = 4`).run(
          ...names.map((name) => foreign[name] ?? null),
        );
      }).verify();
      expect(found(report)).toContainEqual(["LOG_MISMATCH", 4]);
      expect(found(report)).toContainEqual(["LEAF_MISMATCH", 4]);
    } finally {
      await other.remove();
    }
  });
  test("the end cut off, tree and all, is shorter than what was signed", async () => {
    const early = await createLogFile();
    try {
      await early.write(({ record }) => record(50));
      const backup = early.copy("backup");
      const newest = await early.write(async ({ record, checkpoints }) => {
        await record(20);
        return checkpoints.current();
      });
      // Without evidence from outside a backup is as good as the present.
      expect(found(await backup.verify())).toEqual([["FRESHNESS_UNPROVEN", null]]);
      const report = await backup.verify({ checkpoints: [newest.note] });
      expect(report.verdict).toBe("tampered");
      expect(found(report)).toContainEqual(["SIZE_REGRESSION", 50]);
      // What goes on from the backup is a fork.
      await backup.write(({ record }) => record(30));
      expect(found(await backup.verify({ checkpoints: [newest.note] }))).toContainEqual(["FORK", 69]);
    } finally {
      await early.remove();
    }
  });
  test("a stored checkpoint that is ahead of the log", async () => {
    const report = await tampered((db) => {
      db.exec("DELETE FROM AuditLog WHERE seq >= 64");
      db.exec("DELETE FROM _pylon_audit_tiles WHERE id BETWEEN '0-000000000001' AND '0-000000000009'");
      const upper = "SELECT substr(hashes, 1, 32) FROM _pylon_audit_tiles WHERE id = '1-000000000000'";
      db.exec(`UPDATE _pylon_audit_head SET size = 64, frontier = (${upper})`);
      db.exec("UPDATE _pylon_audit_tiles SET hashes = substr(hashes, 1, 32) WHERE id = '1-000000000000'");
    }).verify();
    expect(found(report).filter(([code]) => code !== "FRESHNESS_UNPROVEN")).toEqual([
      ["SIZE_REGRESSION", 64],
      ["SIZE_REGRESSION", 64],
    ]);
  });
  test("a checkpoint of somebody else proves nothing", async () => {
    const other = await createLogFile();
    try {
      const note = await other.write(async ({ record, checkpoints }) => {
        await record(10);
        return (await checkpoints.current()).note;
      });
      const report = await original.verify({ checkpoints: [note] });
      expect(report.verdict).toBe("unproven");
      expect(found(report)).toContainEqual(["EVIDENCE_BAD", 9]);
      // It was made with this log's key: whoever put an empty log in this one's place would make such a one.
      const bad = report.findings.find(({ code }) => code === "EVIDENCE_BAD");
      expect(bad?.message).toContain(`it is of the log ${note.split("\n")[0]}`);
      const forged = checkpoint.replace("\n300\n", "\n299\n");
      expect(found(await original.verify({ checkpoints: [forged] }))).toContainEqual(["EVIDENCE_BAD", 298]);
    } finally {
      await other.remove();
    }
  });
});

describe("the tree", () => {
  test("its parts and its head", async () => {
    const leaf = await tampered((db) =>
      db.exec("UPDATE _pylon_audit_tiles SET hashes = zeroblob(2048) WHERE id = '0-000000000000'"),
    ).verify();
    expect(found(leaf)).toContainEqual(["LEAF_MISMATCH", 0]);
    const upper = await tampered((db) =>
      db.exec("UPDATE _pylon_audit_tiles SET hashes = zeroblob(128) WHERE id = '1-000000000000'"),
    ).verify();
    expect(found(upper)).toContainEqual(["TILE_MISMATCH", 0]);
    const gone = await tampered((db) => db.exec("DELETE FROM _pylon_audit_tiles WHERE id = '0-000000000004'")).verify();
    expect(found(gone)).toContainEqual(["TILE_MISSING", 256]);
    const head = await tampered((db) =>
      db.exec("UPDATE _pylon_audit_head SET frontier = zeroblob(length(frontier))"),
    ).verify();
    expect(found(head)).toContainEqual(["ROOT_MISMATCH", 299]);
    const claim = await tampered((db) => db.exec("UPDATE _pylon_audit_head SET size = 9007199254740991")).verify();
    expect(claim.findings).toContainEqual(expect.objectContaining({ code: "ROW_MISSING", seq: 300 }));
  });
  test("its checkpoints", async () => {
    const report = await tampered((db) =>
      db.exec(
        "UPDATE _pylon_audit_checkpoints SET note = replace(note, char(10) || '200' || char(10), char(10) || '201' || char(10))",
      ),
    ).verify();
    expect(found(report)).toContainEqual(["CHECKPOINT_BAD", 200]);
  });
});

describe("redaction", () => {
  test("is found when nothing records it, and says so when it is recorded", async () => {
    const erased = await tampered((db) =>
      db.exec("UPDATE AuditLog SET before = NULL, after = NULL, salt = NULL WHERE seq = 33"),
    ).verify();
    expect(found(erased)).toContainEqual(["PAYLOAD_MISSING", 33]);
    const file = original.copy(`copy-${copies++}`);
    const redacted = await file.write(({ store, log }) =>
      redactRow({ store, log, clock: createSystemClock() }, { entity: "Order", rowId: "row-7", reason: "asked for" }),
    );
    expect(redacted).toBe(6);
    const report = await file.verify({ checkpoints: [checkpoint] });
    expect(report).toMatchObject({ verdict: "intact", redacted: 6, size: 301, findings: [] });
    expect(report.sentence).toContain("6 of them were redacted");
    file.edit((db) => {
      expect(
        db.prepare("SELECT count(*) AS n FROM AuditLog WHERE rowId = 'row-7' AND after LIKE '%quoted%'").get(),
      ).toEqual({ n: 0 });
      expect(JSON.parse(String(rowAt(db, 300)["after"]))).toMatchObject({ reason: "asked for" });
    });
  });
});

describe("rotation", () => {
  test("entries of both keys hold while both are known, and are unknown without the earlier one", async () => {
    const file = original.copy(`copy-${copies++}`);
    await file.write(({ record }) => record(20), "the-next-signing-key");
    const both = await file.verify({ signingKeys: ["the-next-signing-key", KEY], checkpoints: [checkpoint] });
    expect(both).toMatchObject({ verdict: "intact", size: 320, signed: 320 });
    const report = await file.verify({ signingKeys: ["the-next-signing-key"] });
    expect(report.verdict).toBe("unproven");
    expect(found(report)).toContainEqual(["UNKNOWN_KEY", 0]);
  });
});
