// Audit logs in SQLite files, made by the plugin's own code, and edited as a database administrator would.

import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { createVirtualClock } from "../../../src/core/clock.ts";
import { ADMIN } from "../../../src/core/identity.ts";
import { createUlidSource } from "../../../src/core/ids.ts";
import { createSystemTables } from "../../../src/data/migration.ts";
import { toTableSpec } from "../../../src/manifest/tables.ts";
import { openAuditFile } from "../../../src/platform/audit-file.ts";
import { nodeSha256 as sha256 } from "../../../src/platform/sha256-node.ts";
import { sqlitePlatform } from "../../../src/platform/sqlite-platform.ts";
import { auditConfig } from "../../../src/plugins/audit-log/audit-config.ts";
import { type AuditLog, openAuditLog } from "../../../src/plugins/audit-log/audit-log.ts";
import { auditLogEntity, AUDIT_TABLES } from "../../../src/plugins/audit-log/audit-tables.ts";
import { type Checkpoints, createCheckpoints } from "../../../src/plugins/audit-log/checkpoints.ts";
import { type AuditEvidence, type AuditReport, verifyAudit } from "../../../src/plugins/audit-log/verify-audit.ts";
import { openSqliteStore } from "../../../src/store/sqlite/open-sqlite-store.ts";
import type { Store } from "../../../src/store/store.ts";
import { createTempDir } from "../../support/temp-dir.ts";

export const KEY = "the-signing-key-of-the-tests";
const T0 = Date.UTC(2026, 3, 28, 10, 32, 0);

export interface OpenLog {
  readonly store: Store;
  readonly log: AuditLog;
  readonly checkpoints: Checkpoints;
  /** Records entries about `Order` rows `row-<n>`, ten to a commit. */
  record(count: number): Promise<void>;
}

export interface LogFile {
  readonly path: string;
  /** Opens the log to write it, and closes it again. */
  write<T>(run: (open: OpenLog) => Promise<T>, key?: string): Promise<T>;
  /** Edits the file behind the log's back. */
  edit(run: (db: DatabaseSync) => void): void;
  verify(evidence?: AuditEvidence): Promise<AuditReport>;
  /** As it is now, in a file beside it. */
  copy(name: string): LogFile;
  remove(): Promise<void>;
}

/** Makes the table again, with changes to its SQL. */
export function remake(db: DatabaseSync, change: (sql: string) => string): void {
  const { sql } = db.prepare("SELECT sql FROM sqlite_schema WHERE name = 'AuditLog'").get() as { sql: string };
  db.exec(change(sql).replace('"AuditLog"', '"Remade"'));
  db.exec("INSERT INTO Remade SELECT * FROM AuditLog; DROP TABLE AuditLog; ALTER TABLE Remade RENAME TO AuditLog");
}

/** As it is where rows are not stored in the order of their places: anything can be there as a place, or none. */
export function uncluster(db: DatabaseSync, indexSql = "CREATE UNIQUE INDEX AuditLog_by_seq ON AuditLog (seq)"): void {
  remake(db, (sql) => sql.replace('"seq" INTEGER PRIMARY KEY', '"seq" INTEGER'));
  db.exec(indexSql);
}

let recorded = 0;

async function openLog(path: string, key: string, config: object): Promise<OpenLog> {
  const store = openSqliteStore({ path, platform: sqlitePlatform });
  await createSystemTables(store, [...AUDIT_TABLES, toTableSpec(auditLogEntity)]);
  const parsed = auditConfig.parse({
    entities: ["Order"],
    sign_entries: true,
    signing_key_env: "KEY",
    previous_signing_key_envs: ["OLD"],
    ...config,
  });
  const clock = createVirtualClock(T0 + recorded * 1_000);
  const log = await openAuditLog({
    store,
    config: parsed,
    env: { KEY: key, OLD: KEY },
    sha256,
    clock,
    ulid: createUlidSource(),
  });
  const checkpoints = createCheckpoints({ store, log, sha256, publish: async () => undefined });
  const record = async (count: number): Promise<void> => {
    for (let done = 0; done < count; done += 10) {
      await store.write(async (tx) => {
        for (let index = done; index < Math.min(count, done + 10); index++) {
          const rowId = `row-${recorded % 50}`;
          const after = JSON.stringify({ id: rowId, total: recorded, note: 'a "quoted" note' });
          const row = { entity: "Order", rowId, operation: "insert", before: null, after };
          await log.record(tx, { actor: ADMIN, requestId: `req-${recorded}`, ...row, at: T0 + recorded * 1_000 });
          recorded += 1;
        }
      });
    }
  };
  return { store, log, checkpoints, record };
}

function fileAt(path: string, config: object, remove: () => Promise<void>): LogFile {
  return {
    path,
    remove,
    async write(run, key = KEY) {
      const open = await openLog(path, key, config);
      try {
        return await run(open);
      } finally {
        await open.store.close();
      }
    },
    edit(run) {
      const db = new DatabaseSync(path);
      try {
        run(db);
      } finally {
        db.close();
      }
    },
    async verify(evidence = {}) {
      const { source, close } = openAuditFile(path);
      try {
        return await verifyAudit(source, { signingKeys: [KEY], ...evidence }, { sha256 });
      } finally {
        close();
      }
    },
    copy(name) {
      const target = join(path, "..", `${name}.db`);
      const db = new DatabaseSync(path);
      db.exec(`VACUUM INTO '${target}'`);
      db.close();
      return fileAt(target, config, async () => undefined);
    },
  };
}

/** An empty log in a folder of its own. */
export async function createLogFile(config: object = {}): Promise<LogFile> {
  const folder = await createTempDir();
  return fileAt(join(folder.path, "log.db"), config, () => folder.remove());
}
