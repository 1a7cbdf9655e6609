// Makes a database whose audit log has as many entries as asked for, through the plugin's own code and without HTTP; or
// verifies one and prints how long that took and how much memory it had. A process of its own for each, so that the memory
// is its own.
// Usage: audit-log-file.ts make PATH COUNT | verify PATH

import { createSystemClock } from "../../src/core/clock.ts";
import { ADMIN } from "../../src/core/identity.ts";
import { createUlidSource } from "../../src/core/ids.ts";
import { createSystemTables } from "../../src/data/migration.ts";
import { toTableSpec } from "../../src/manifest/tables.ts";
import { openAuditFile } from "../../src/platform/audit-file.ts";
import { bunSha256 as sha256 } from "../../src/platform/sha256-bun.ts";
import { sqlitePlatform } from "../../src/platform/sqlite-platform.ts";
import { auditConfig } from "../../src/plugins/audit-log/audit-config.ts";
import { openAuditLog } from "../../src/plugins/audit-log/audit-log.ts";
import { auditLogEntity, AUDIT_TABLES } from "../../src/plugins/audit-log/audit-tables.ts";
import { verifyAudit } from "../../src/plugins/audit-log/verify-audit.ts";
import { openSqliteStore } from "../../src/store/sqlite/open-sqlite-store.ts";

const [action = "", path = "", count = "0"] = process.argv.slice(2);
const KEY = "the-signing-key-of-the-benchmark";
const PER_COMMIT = 5_000;

async function make(): Promise<void> {
  const store = openSqliteStore({ path, platform: sqlitePlatform });
  await createSystemTables(store, [...AUDIT_TABLES, toTableSpec(auditLogEntity)]);
  const config = auditConfig.parse({ entities: ["Order"], sign_entries: true, signing_key_env: "KEY" });
  const [clock, ulid] = [createSystemClock(), createUlidSource()];
  const log = await openAuditLog({ store, config, env: { KEY }, sha256, clock, ulid });
  const total = Number(count);
  for (let done = 0; done < total; done += PER_COMMIT) {
    await store.write(async (tx) => {
      for (let at = done; at < Math.min(total, done + PER_COMMIT); at++) {
        const rowId = ulid(clock.now());
        const after = JSON.stringify({ id: rowId, customerId: "user_1", total: at, paid: false, note: "two boxes" });
        const who = { actor: ADMIN, requestId: `req_${at}`, entity: "Order", rowId, operation: "insert" };
        await log.record(tx, { ...who, before: null, after, at: clock.now() });
      }
    });
  }
  await store.close();
  console.log("made");
}

async function verify(): Promise<void> {
  const { source, close } = openAuditFile(path);
  let peakBytes = 0;
  const watch = setInterval(() => (peakBytes = Math.max(peakBytes, process.memoryUsage.rss())), 50);
  const [startedMs, startedCpu] = [performance.now(), process.cpuUsage()];
  const report = await verifyAudit(source, { signingKeys: [KEY] }, { sha256 });
  const seconds = (performance.now() - startedMs) / 1_000;
  const used = process.cpuUsage(startedCpu);
  clearInterval(watch);
  peakBytes = Math.max(peakBytes, process.memoryUsage.rss());
  close();
  const { checked, verdict, findings } = report;
  if (findings.some(({ code }) => code !== "FRESHNESS_UNPROVEN")) throw new Error(JSON.stringify(findings.slice(0, 3)));
  console.log(
    `result ${JSON.stringify({ checked, verdict, seconds, cpuSeconds: (used.user + used.system) / 1e6, peakBytes })}`,
  );
}

await (action === "make" ? make() : verify());
