// Erases what the log holds of one row, for those who have a right to be forgotten. The commitments stay, so that the tree
// still proves the entries, and an entry that cannot be erased says what was erased, when and why.

import type { Clock } from "../../core/clock.ts";
import { ADMIN } from "../../core/identity.ts";
import type { Store } from "../../store/store.ts";
import type { AuditLog } from "./audit-log.ts";
import { AUDIT_LOG } from "./audit-tables.ts";
import { REDACT, type Redaction } from "./log-entries.ts";

/** Entries that one redaction entry names. */
const BATCH = 500;

export interface RedactOptions {
  readonly store: Store;
  readonly log: AuditLog;
  readonly clock: Clock;
}

export interface RedactTarget {
  readonly entity: string;
  readonly rowId: string;
  readonly reason: string;
}

/** Answers how many entries lost their payload. Each batch and the entry that names it commit together. */
export async function redactRow({ store, log, clock }: RedactOptions, target: RedactTarget): Promise<number> {
  const { entity, rowId, reason } = target;
  const redactBatch = (): Promise<number> =>
    store.write(async (tx) => {
      const rows = await tx.find(AUDIT_LOG, {
        where: [
          { column: "rowId", op: "eq", value: rowId },
          { column: "entity", op: "eq", value: entity },
          { column: "operation", op: "ne", value: REDACT },
          { column: "salt", op: "ne", value: null },
        ],
        limit: BATCH,
      });
      if (rows.length === 0) return 0;
      for (const { id } of rows) await tx.update(AUDIT_LOG, id, { before: null, after: null, salt: null });
      const redaction: Redaction = { reason, entries: rows.map(({ id }) => id) };
      await log.record(tx, {
        actor: ADMIN,
        requestId: null,
        entity,
        rowId,
        operation: REDACT,
        before: null,
        after: JSON.stringify(redaction),
        at: clock.now(),
      });
      return rows.length;
    });
  let redacted = 0;
  for (let count = await redactBatch(); count > 0; count = await redactBatch()) redacted += count;
  await log.catchUp();
  return redacted;
}
