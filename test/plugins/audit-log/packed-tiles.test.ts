// Tiles that are accepted as the database writes them out: an untouched log's are, and whatever is done to a log, the report is
// the one that looking at its entries gives. `PYLON_TEST_SEED` repeats a run's choices.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import fc from "fast-check";

import { createSystemClock } from "../../../src/core/clock.ts";
import { ADMIN } from "../../../src/core/identity.ts";
import { openAuditFile } from "../../../src/platform/audit-file.ts";
import { nodeSha256 as sha256 } from "../../../src/platform/sha256-node.ts";
import type { AuditEntry } from "../../../src/plugins/audit-log/audit-entry.ts";
import type { AuditSource } from "../../../src/plugins/audit-log/audit-source.ts";
import { redactRow } from "../../../src/plugins/audit-log/redact.ts";
import { type AuditEvidence, type AuditReport, verifyAudit } from "../../../src/plugins/audit-log/verify-audit.ts";
import { createLogFile, KEY, type LogFile, remake, uncluster } from "./log-file.ts";
import { signedFields } from "./signed-fields.ts";

const TILE = 64;
const ENTRIES = 20 * TILE + 30;
const TRIALS = 150;
const seed = Number(process.env["PYLON_TEST_SEED"] ?? Date.now() % 2 ** 31);

const oddText = fc.oneof(
  fc.constantFrom(
    "",
    "\0",
    "\n",
    "a\nb",
    '","',
    '\\","',
    "\u007f\u0001\u001f",
    "\u2028",
    "\ud83d\ude00",
    "null",
    "[",
    "0",
  ),
  fc.constantFrom("cut", "redact", 'x","cut', "2026-11-21T17:29:36.384Z", `${"0".repeat(64)}","x`),
  fc.string({ unit: "binary", maxLength: 12 }).map((text) => text.toWellFormed()),
);

let original: LogFile;
let [earlier, checkpoint] = ["", ""];

beforeAll(async () => {
  original = await createLogFile();
  await original.write(async ({ record, checkpoints }) => {
    await record(500);
    earlier = (await checkpoints.current()).note;
    await record(ENTRIES - 500);
    checkpoint = (await checkpoints.current()).note;
  });
});

afterAll(async () => {
  await original?.remove();
});

interface Looked {
  readonly outcome: AuditReport | string;
  /** Tiles that were asked for packed. */
  readonly packed: readonly number[];
  /** Where entries were read from. */
  readonly from: readonly number[];
}

async function look(path: string, evidence: AuditEvidence, isByEntry: boolean): Promise<Looked> {
  const { source, close } = openAuditFile(path);
  const [packed, from]: [number[], number[]] = [[], []];
  const { readPacked, ...others } = source;
  const watched: AuditSource = {
    ...others,
    readEntries(first) {
      from.push(first);
      return source.readEntries(first);
    },
    ...(readPacked &&
      !isByEntry && {
        readPacked(index: number) {
          packed.push(index);
          return readPacked(index);
        },
      }),
  };
  try {
    const outcome = await verifyAudit(watched, { signingKeys: [KEY], ...evidence }, { sha256 }).catch(String);
    return { outcome, packed, from };
  } finally {
    close();
  }
}

/** What is found, which is the same in either way. */
async function lookBothWays(path: string, evidence: AuditEvidence = {}): Promise<Looked> {
  const looked = await look(path, evidence, false);
  expect(looked.outcome).toEqual((await look(path, evidence, true)).outcome);
  return looked;
}

function codesOf({ outcome }: Looked): readonly string[] {
  return typeof outcome === "string" ? [outcome] : outcome.findings.map(({ code }) => code);
}

/** Does something to the log, and undoes it. */
async function tampered<T>(edit: (db: DatabaseSync) => void, run: (path: string) => Promise<T>): Promise<T> {
  const file = original.copy(`copy-${crypto.randomUUID()}`);
  file.edit(edit);
  return run(file.path);
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, index) => from + index);

describe("an untouched log", () => {
  test("is accepted by the tile, and only its last one is read", async () => {
    const { packed, from, outcome } = await lookBothWays(original.path, { checkpoints: [checkpoint] });
    expect(packed).toEqual(range(0, 20));
    expect(from).toEqual([20 * TILE]);
    expect(outcome).toMatchObject({ verdict: "intact", checked: ENTRIES, signed: ENTRIES, provenSize: ENTRIES });
  });
  test("is accepted from the first tile on that an earlier checkpoint does not cover", async () => {
    const { packed, from, outcome } = await lookBothWays(original.path, { checkpoints: [earlier], incremental: true });
    expect(packed).toEqual(range(15, 20));
    expect(from).toEqual([7 * TILE, 20 * TILE]);
    expect(outcome).toMatchObject({ verdict: "intact", checked: ENTRIES - 500, provenSize: 500 });
  });
  test("is proven up to an earlier checkpoint, with the time of the entry there", async () => {
    const { from, outcome } = await lookBothWays(original.path, { checkpoints: [earlier] });
    expect(from).toEqual([20 * TILE]);
    expect(outcome).toMatchObject({ verdict: "intact", provenSize: 500, provenAt: expect.any(String) });
  });
  test("whose rows are stored apart from their places is accepted by the tile as well", async () => {
    await tampered(uncluster, async (path) => {
      const { packed, from, outcome } = await lookBothWays(path, { checkpoints: [checkpoint] });
      expect(packed).toEqual(range(0, 20));
      expect(from).toEqual([20 * TILE]);
      expect(outcome).toMatchObject({ verdict: "intact", checked: ENTRIES, provenSize: ENTRIES });
    });
  });
  test("without the key is read by the entry, with ever fewer looks at packed tiles", async () => {
    const { packed, from, outcome } = await lookBothWays(original.path, { signingKeys: [], checkpoints: [] });
    expect(packed).toEqual([0, 8]);
    expect(from).toEqual([0, 8 * TILE]);
    expect(outcome).toMatchObject({ verdict: "unproven", furtherFindings: expect.any(Number) });
  });
  test("is accepted whatever its texts are", async () => {
    const file = await createLogFile();
    try {
      await file.write(async ({ store, log }) => {
        const texts = fc.sample(fc.tuple(oddText, oddText, oddText, fc.option(oddText)), { numRuns: 5 * TILE, seed });
        await store.write(async (tx) => {
          for (const [index, [rowId, entity, requestId, before]] of texts.entries()) {
            // `cut` and `redact` are the log's own.
            const what = { entity, rowId, operation: `do ${entity}`, before, after: before === null ? rowId : null };
            await log.record(tx, { actor: ADMIN, requestId, ...what, at: 1_700_000_000_000 + index });
          }
        });
      });
      const { from, outcome } = await lookBothWays(file.path);
      expect(outcome).toMatchObject({
        verdict: "unproven",
        checked: 5 * TILE,
        findings: [{ code: "FRESHNESS_UNPROVEN" }],
      });
      expect(from).toEqual([4 * TILE]);
    } finally {
      await file.remove();
    }
  });
  test("with a redaction is read where that is", async () => {
    const file = original.copy("redacted");
    await file.write(async ({ store, log, record }) => {
      await redactRow({ store, log, clock: createSystemClock() }, { entity: "Order", rowId: "row-3", reason: "asked" });
      await record(TILE);
    });
    const looked = await lookBothWays(file.path);
    expect(looked.outcome).toMatchObject({ verdict: "unproven", redacted: Math.ceil((ENTRIES - 3) / 50) });
    expect(codesOf(looked)).toEqual(["FRESHNESS_UNPROVEN"]);
  });
  test("with a redaction far behind what it erased is read where that is", async () => {
    const file = await createLogFile();
    const row = { entity: "Order", rowId: "early" };
    try {
      await file.write(async ({ store, log, record }) => {
        const what = { ...row, operation: "insert", before: null, after: "{}" };
        await store.write(async (tx) =>
          log.record(tx, { actor: ADMIN, requestId: null, ...what, at: 1_700_000_000_000 }),
        );
        await record(10 * TILE);
        await redactRow({ store, log, clock: createSystemClock() }, { ...row, reason: "asked" });
        await record(10 * TILE);
      });
      const looked = await lookBothWays(file.path);
      expect(looked.from).toEqual([0, 10 * TILE, 20 * TILE]);
      expect(codesOf(looked)).toEqual(["FRESHNESS_UNPROVEN"]);
    } finally {
      await file.remove();
    }
  });
});

describe("a log that was tampered with", () => {
  test("is looked at closely there, and accepted again behind it", async () => {
    await tampered(
      (db) => db.exec(`UPDATE AuditLog SET after = '{}' WHERE seq = ${3 * TILE + 5}`),
      async (path) => {
        const looked = await lookBothWays(path);
        expect(looked.from).toEqual([3 * TILE, 20 * TILE]);
        expect(looked.packed).toEqual([...range(0, 4), ...range(11, 20)]);
        expect(codesOf(looked)).toContain("PAYLOAD_MISMATCH");
      },
    );
  });

  /** Changes a row behind the back of an index that holds all columns. */
  function changeBehind(db: DatabaseSync, where: string): void {
    db.enableDefensive(false);
    const columns = (db.prepare("SELECT name FROM pragma_table_info('AuditLog')").all() as { name: string }[]).map(
      ({ name }) => `"${name}"`,
    );
    db.exec(`CREATE INDEX covering ON AuditLog (seq, ${columns.join(", ")}) ${where}`);
    const { rootpage, sql } = db.prepare("SELECT rootpage, sql FROM sqlite_schema WHERE name = 'covering'").get() as {
      rootpage: number;
      sql: string;
    };
    db.exec(
      "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'covering'; PRAGMA writable_schema = RESET",
    );
    db.exec("UPDATE AuditLog SET after = '{}' WHERE seq = 70; PRAGMA writable_schema = ON");
    db.prepare("INSERT INTO sqlite_schema VALUES ('index', 'covering', 'AuditLog', ?, ?)").run(rootpage, sql);
    db.exec("PRAGMA writable_schema = RESET");
  }
  for (const where of ["", "WHERE seq >= 0"]) {
    for (const [layout, prepare] of Object.entries({ clustered: () => undefined, plain: uncluster })) {
      test(`where an index ${where} still has what a row was, in a ${layout} table: the row counts`, async () => {
        await tampered(
          (db) => {
            prepare(db);
            changeBehind(db, where);
          },
          async (path) => expect(codesOf(await lookBothWays(path))).toContain("PAYLOAD_MISMATCH"),
        );
      });
    }
  }

  const apart =
    (index: string, sql = "") =>
    (db: DatabaseSync): void => {
      uncluster(db, index);
      db.exec(sql);
    };
  const elsewhere: Readonly<Record<string, (db: DatabaseSync) => void>> = {
    "there is no index over places": apart(""),
    "the index is over something else": apart("CREATE INDEX AuditLog_by_seq ON AuditLog (entity, seq)"),
  };
  const edits: Readonly<Record<string, string | ((db: DatabaseSync) => void)>> = {
    "rows are gone": "DELETE FROM AuditLog WHERE seq BETWEEN 70 AND 300",
    "the first rows are gone": "DELETE FROM AuditLog WHERE seq < 130",
    "rows and their tiles are gone":
      "DELETE FROM AuditLog WHERE seq BETWEEN 128 AND 700; DELETE FROM _pylon_audit_tiles WHERE id BETWEEN '0-000000000002' AND '0-000000000010'",
    ...elsewhere,
    "the index is descending": apart("CREATE INDEX AuditLog_by_seq ON AuditLog (seq DESC)"),
    "a place is there twice and another is not": apart(
      "CREATE INDEX AuditLog_by_seq ON AuditLog (seq)",
      "UPDATE AuditLog SET seq = 99 WHERE seq = 100",
    ),
    "two entries have changed places":
      "UPDATE AuditLog SET seq = -1 WHERE seq = 80; UPDATE AuditLog SET seq = 80 WHERE seq = 90; UPDATE AuditLog SET seq = 90 WHERE seq = -1",
    "a signature holds the next entry, which has no place": apart(
      "CREATE UNIQUE INDEX AuditLog_by_seq ON AuditLog (seq)",
      `UPDATE AuditLog SET signature = (
      SELECT concat(this.signature, char(10), next.seq - 64 + 10, json_array(next.salt, next.before, next.after), char(10),
        json_array('pylon-audit-v1', next.logId, next.id, next.actorType, next.actorId, next.tenantId, next.entity, next.rowId,
          next.operation, next.payloadHash, next.createdAt), char(10), next.signature)
      FROM AuditLog this, AuditLog next WHERE this.seq = 70 AND next.seq = 71) WHERE seq = 70;
      UPDATE AuditLog SET seq = NULL WHERE seq = 71`,
    ),
    "a tile says more":
      "UPDATE _pylon_audit_tiles SET hashes = CAST(hashes || x'00' AS BLOB) WHERE id = '0-000000000003'",
    "a tile has another request": `UPDATE _pylon_audit_tiles SET requests = replace(requests, 'req', 'reg') WHERE id = '0-000000000003'`,
    "a tile has no seal": "UPDATE _pylon_audit_tiles SET seal = NULL WHERE id = '0-000000000003'",
    "a tile above is another":
      "UPDATE _pylon_audit_tiles SET hashes = zeroblob(length(hashes)) WHERE id = '1-000000000000'",
    "entries are of another log":
      "UPDATE AuditLog SET logId = 'x' WHERE seq = 70; UPDATE AuditLog SET logId = NULL WHERE seq = 200",
    "rows stand behind the end":
      "INSERT INTO AuditLog (id, seq) VALUES ('x', 5000); UPDATE AuditLog SET seq = 100000 WHERE seq = 4",
    "what is no UTF-8 stands in for a replacement character": `UPDATE AuditLog SET rowId = CAST(x'ff' AS TEXT) WHERE seq = 70`,
  };
  for (const [what, edit] of Object.entries(elsewhere)) {
    test(`${what}: it is not read by the tile, which would read all of it each time`, async () => {
      await tampered(edit, async (path) => expect((await look(path, {}, false)).packed).toEqual([]));
    });
  }
  for (const [what, edit] of Object.entries(edits)) {
    test(`${what}: the report is that of its entries`, async () => {
      await tampered(
        (db) => (typeof edit === "string" ? db.exec(edit) : edit(db)),
        async (path) => {
          await lookBothWays(path);
          await lookBothWays(path, { checkpoints: [checkpoint] });
        },
      );
    });
  }
});

type Fields = { readonly [Column in keyof AuditEntry]?: string | null };

/** An entry as somebody makes it who knows how entries are made. */
interface Forgery {
  readonly seq: number;
  /** From the hash of the payload that the row had. */
  readonly fields: (hash: string) => Fields;
  /** From the payload's hash. */
  readonly payloadHash: (hash: string) => string;
  /** From the entry's right signature. */
  readonly signature: (right: string) => string | null;
  /** Whether the tree's leaf and the tile's request id are changed with it. */
  readonly withTile: boolean;
}

const as = (text: string): string => text;
const PLAIN: Forgery = { seq: 70, fields: () => ({}), payloadHash: as, signature: as, withTile: true };
const ERASED = createHash("sha256").update("[null,null,null]").digest("hex");
const withoutPayload = { salt: null, before: null, after: null };

const FORGERIES: Readonly<Record<string, Partial<Forgery>>> = {
  "another code": { signature: (right) => right.replace(/..$/u, "--") },
  "stray bits in the code": { signature: (right) => `${right.slice(0, -1)}${right.endsWith("A") ? "B" : "A"}` },
  "another key": { signature: (right) => right.replace(/^v1:./u, "v1:x") },
  "more than a code": { signature: (right) => `${right}A` },
  "a line behind the last signature": { seq: 2 * TILE - 1, signature: (right) => `${right}\nx`, withTile: false },
  "a payload hash behind a letter": { payloadHash: (hash) => `x${hash}` },
  "a payload hash behind a comma": { payloadHash: (hash) => `,x${hash}` },
  "a payload hash behind a quote": { payloadHash: (hash) => `"${hash}` },
  "a payload hash in another field": { fields: (hash) => ({ createdAt: `${hash}x,y` }), payloadHash: () => "x" },
  "a payload hash in capitals": { payloadHash: (hash) => hash.toUpperCase() },
  "an erased payload that nothing accounts for": { fields: () => withoutPayload, payloadHash: () => ERASED },
  "a cut": { fields: () => ({ operation: "cut", entity: "AuditLog", after: '{"before":3,"root":"x"}' }) },
  "an id of another log": { fields: () => ({ logId: "x" }) },
};

const COLUMNS = [
  "id",
  "logId",
  "actorType",
  "actorId",
  "tenantId",
  "entity",
  "rowId",
  "operation",
  "createdAt",
] as const;
const forgery: fc.Arbitrary<Forgery> = fc.record({
  seq: fc.nat(3 * TILE - 1),
  fields: fc
    .dictionary(fc.constantFrom(...COLUMNS, "before", "after", "salt", "requestId"), fc.option(oddText), { maxKeys: 3 })
    .map((fields) => () => fields),
  payloadHash: fc.constantFrom(
    as,
    as,
    as,
    (hash: string) => `${hash}","x`,
    (hash: string) => hash.slice(1),
  ),
  signature: fc.constantFrom(
    as,
    as,
    as,
    (right: string) => right.slice(0, -1),
    () => null,
  ),
  withTile: fc.boolean(),
});

/** An id that another entry has stays as it was. */
function forge(db: DatabaseSync, { seq, fields, payloadHash, signature, withTile }: Forgery): void {
  const stored = db.prepare("SELECT * FROM AuditLog WHERE seq = ?").get(seq) as unknown as AuditEntry;
  const row = { ...stored, ...fields(stored.payloadHash) } as AuditEntry;
  const payload = JSON.stringify([row.salt, row.before, row.after]);
  const hashed = { ...row, payloadHash: payloadHash(createHash("sha256").update(payload).digest("hex")) };
  const message = JSON.stringify(signedFields(hashed));
  const keyId = createHash("sha256").update(KEY).digest("hex").slice(0, 8);
  const code = createHmac("sha256", KEY).update(message).digest("base64url");
  const entry = { ...hashed, signature: signature(`v1:${keyId}:${code}`) };
  const names = Object.keys(entry).filter((name) => name !== "seq" && name !== "id");
  db.prepare(
    `UPDATE OR IGNORE AuditLog SET ${names.map((name) => `"${name}" = ?`).join(", ")}, id = coalesce(?, id) WHERE seq = ?`,
  ).run(...names.map((name) => (entry as unknown as Record<string, string | null>)[name] ?? null), entry.id, seq);
  if (!withTile) return;
  const leaf = createHash("sha256")
    .update(`\0${message}\n${entry.signature ?? ""}`)
    .digest();
  const id = `0-${String(Math.floor(seq / TILE)).padStart(12, "0")}`;
  const { hashes, requests } = db.prepare("SELECT hashes, requests FROM _pylon_audit_tiles WHERE id = ?").get(id) as {
    hashes: Uint8Array;
    requests: string;
  };
  hashes.set(leaf, (seq % TILE) * 32);
  const lines = requests
    .split("\n")
    .with(seq % TILE, row.requestId ?? "")
    .join("\n");
  const logId = (db.prepare("SELECT logId FROM _pylon_audit_head").get() as { logId: string }).logId;
  const digest = createHash("sha256").update(lines).digest("hex");
  const sealed = JSON.stringify(["pylon-audit-requests-v1", logId, Math.floor(seq / TILE), digest]);
  const seal = `v1:${keyId}:${createHmac("sha256", KEY).update(sealed).digest("base64url")}`;
  db.prepare("UPDATE _pylon_audit_tiles SET hashes = ?, requests = ?, seal = ? WHERE id = ?").run(
    hashes,
    lines,
    seal,
    id,
  );
}

describe("an entry that was forged", () => {
  for (const [what, one] of Object.entries(FORGERIES)) {
    test(`with ${what}: the report is that of its entries`, async () => {
      await tampered(
        (db) => forge(db, { ...PLAIN, ...one }),
        async (path) => {
          const looked = await lookBothWays(path);
          expect(codesOf(looked)).not.toEqual(["FRESHNESS_UNPROVEN"]);
          expect(looked.from[0]).toBe(TILE);
        },
      );
    });
  }

  for (const column of ["requestId", "signature", "after", "operation", "logId", "createdAt"]) {
    for (const value of ["7", "7.0", `CAST(${column} AS BLOB)`]) {
      test(`with ${value} as its ${column}, in a table that takes anything: the report is that of its entries`, async () => {
        const edit = (db: DatabaseSync): void => {
          forge(db, { ...PLAIN, fields: () => ({ requestId: "7" }) });
          remake(db, (sql) => sql.replaceAll(" TEXT", " ANY"));
          db.exec(`UPDATE AuditLog SET ${column} = ${value} WHERE seq = 70`);
        };
        await tampered(edit, async (path) => {
          expect(codesOf(await lookBothWays(path))).not.toEqual(["FRESHNESS_UNPROVEN"]);
        });
      });
    }
  }

  test("with a payload that is no UTF-8: the report is that of its entries", async () => {
    const edit = (db: DatabaseSync): void => {
      const { salt } = db.prepare("SELECT salt FROM AuditLog WHERE seq = 70").get() as { salt: string };
      const payload = Buffer.from(`["${salt}",null,"\u00ff"]`, "latin1");
      const payloadHash = createHash("sha256").update(payload).digest("hex");
      forge(db, { ...PLAIN, fields: () => ({ before: null, after: "" }), payloadHash: () => payloadHash });
      db.exec("UPDATE AuditLog SET after = CAST(x'ff' AS TEXT) WHERE seq = 70");
    };
    await tampered(edit, async (path) => expect(codesOf(await lookBothWays(path))).toContain("PAYLOAD_MISMATCH"));
  });

  test("in any other way: the report is that of its entries", async () => {
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(forgery, { minLength: 1, maxLength: 2 }), async (forgeries) => {
        await tampered(
          (db) => forgeries.forEach((one) => forge(db, one)),
          async (path) => {
            const { from } = await lookBothWays(path);
            if (from.every((first) => first >= 20 * TILE)) accepted += 1;
          },
        );
      }),
      { numRuns: TRIALS, seed },
    );
    // Otherwise nothing of this reaches what is to be tested.
    expect(accepted).toBeGreaterThan(0);
  }, 120_000);
});
