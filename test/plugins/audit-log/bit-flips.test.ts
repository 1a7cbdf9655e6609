// One bit anywhere in the audit tables: every one is found. `PYLON_TEST_SEED` repeats a run's choices.

import { expect, test } from "bun:test";
import type { DatabaseSync } from "node:sqlite";

import { createSystemClock } from "../../../src/core/clock.ts";
import { redactRow } from "../../../src/plugins/audit-log/redact.ts";
import { createDice } from "../../support/dice.ts";
import { createLogFile } from "./log-file.ts";

const TRIALS = 1_000;
const TABLES = ["AuditLog", "_pylon_audit_head", "_pylon_audit_tiles", "_pylon_audit_checkpoints"] as const;
const INTEGER_BITS = 63;

type Stored = string | bigint | Uint8Array | null;

interface Cell {
  readonly table: string;
  readonly rowid: bigint;
  readonly column: string;
  readonly value: Stored;
  readonly bits: number;
}

function bitsOf(value: Stored): number {
  if (value === null) return 0;
  if (typeof value === "bigint") return INTEGER_BITS;
  return (typeof value === "string" ? new TextEncoder().encode(value).length : value.length) * 8;
}

function readCells(db: DatabaseSync): Cell[] {
  return TABLES.flatMap((table) => {
    const statement = db.prepare(`SELECT _rowid_ AS place, * FROM "${table}"`);
    statement.setReadBigInts(true);
    return (statement.all() as Record<string, Stored>[]).flatMap(({ place, ...row }) =>
      Object.entries(row).map(([column, value]): Cell => ({
        table,
        rowid: place as bigint,
        column,
        value,
        bits: bitsOf(value),
      })),
    );
  }).filter(({ bits }) => bits > 0);
}

/** The SQL and the value with one bit turned. */
function flip({ value }: Cell, bit: number): [sql: string, value: Uint8Array | bigint] {
  if (typeof value === "bigint") return ["?", value ^ (1n << BigInt(bit))];
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : Uint8Array.from(value as Uint8Array);
  bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
  return [typeof value === "string" ? "CAST(? AS TEXT)" : "?", bytes];
}

test("every flipped bit is found", async () => {
  const dice = createDice(Number(process.env["PYLON_TEST_SEED"] ?? Date.now() % 2 ** 31));
  const file = await createLogFile();
  try {
    await file.write(async ({ record, checkpoints, store, log }) => {
      await record(150);
      await checkpoints.current();
      await redactRow({ store, log, clock: createSystemClock() }, { entity: "Order", rowId: "row-3", reason: "asked" });
      await record(119);
      await checkpoints.current();
    });
    expect((await file.verify()).findings.map(({ code }) => code)).toEqual(["FRESHNESS_UNPROVEN"]);
    let cells: Cell[] = [];
    file.edit((db) => {
      cells = readCells(db);
    });
    const total = cells.reduce((sum, { bits }) => sum + bits, 0);
    for (let trial = 0; trial < TRIALS; trial++) {
      // Half of the trials by column, so that small ones get their share, half by bit.
      let cell = cells[Math.floor(dice() * cells.length)] as Cell;
      if (trial % 2 === 0) {
        let at = Math.floor(dice() * total);
        cell = cells.find(({ bits }) => (at -= bits) < 0) as Cell;
      }
      const bit = Math.floor(dice() * cell.bits);
      const [sql, value] = flip(cell, bit);
      let isStored = true;
      file.edit((db) => {
        try {
          db.prepare(`UPDATE "${cell.table}" SET "${cell.column}" = ${sql} WHERE _rowid_ = ?`).run(value, cell.rowid);
        } catch {
          // Another row has this value already: the database has found it.
          isStored = false;
        }
      });
      if (!isStored) continue;
      const { findings } = await file.verify();
      const codes = findings.map(({ code }) => code).filter((code) => code !== "FRESHNESS_UNPROVEN");
      expect({ table: cell.table, column: cell.column, bit, found: codes.length > 0 }).toMatchObject({ found: true });
      file.edit((db) => {
        // The place of an entry may be what it is stored by.
        const where = cell.column === "seq" ? `seq = ${sql}` : "_rowid_ = ?";
        const row = cell.column === "seq" ? value : cell.rowid;
        db.prepare(`UPDATE "${cell.table}" SET "${cell.column}" = ? WHERE ${where}`).run(cell.value, row);
      });
    }
    expect((await file.verify()).findings.map(({ code }) => code)).toEqual(["FRESHNESS_UNPROVEN"]);
  } finally {
    await file.remove();
  }
}, 300_000);
