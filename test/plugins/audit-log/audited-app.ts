// An instance with an audit log, and what tests ask of it.

import assert from "node:assert/strict";

import type { AuditEntry } from "../../../src/plugins/audit-log/audit-entry.ts";
import { storeSource } from "../../../src/plugins/audit-log/audit-source.ts";
import type { SchemaStep, Store } from "../../../src/store/store.ts";
import { type AuditEvidence, type AuditReport, verifyAudit } from "../../../src/plugins/audit-log/verify-audit.ts";
import { type AppOptions, type TestApp, withApp } from "../app-harness.ts";

export const SIGNING_KEY = "the-signing-key-of-the-tests";

export interface AuditedOptions extends AppOptions {
  readonly audit?: Readonly<Record<string, unknown>>;
}

export const SIGNED = { entities: ["Order"], sign_entries: true, signing_key_env: "AUDIT_SIGNING_KEY" };

/** Where rows can wait for the value that others are stored in the order of. */
function unclustered(step: SchemaStep): SchemaStep {
  if (step.kind !== "create-table") return step;
  const { clusteredBy: _, ...table } = step.table;
  return { ...step, table };
}

/** A store whose tables are as an earlier version has made them. */
function withoutClusters(store: Store): Store {
  return {
    ...store,
    changeSchema: (steps, run) =>
      store.changeSchema(
        async (reader) => (typeof steps === "function" ? await steps(reader) : steps).map(unclustered),
        run,
      ),
  };
}

/** Where the store says that its writers work at the same time, entries get their place from the sequencer. */
export const SEQUENCED: AppOptions = {
  wrapStore: (store) => ({ ...withoutClusters(store), writesConcurrently: true }),
};

/** The table of entries as it was before their places were what it is stored by. */
export const UNCLUSTERED: AppOptions = { wrapStore: withoutClusters };

export function withAudit(
  { audit = SIGNED, ...options }: AuditedOptions,
  run: (app: TestApp) => Promise<void>,
): Promise<void> {
  const env = { AUDIT_SIGNING_KEY: SIGNING_KEY, ...options.env };
  return withApp({ ...options, env, plugins: [...(options.plugins ?? []), { name: "audit_log", config: audit }] }, run);
}

/** Waits until every entry has its place. */
function sequenced(app: TestApp): Promise<void> {
  const where = [{ column: "seq", op: "eq", value: null } as const];
  return app.until(async () => (await app.store.reader.count("AuditLog", where)) === 0);
}

export async function entriesOf(app: TestApp): Promise<AuditEntry[]> {
  await sequenced(app);
  const entries: AuditEntry[] = [];
  const source = storeSource(app.store.reader);
  for await (const batch of source.readEntries(0)) entries.push(...batch);
  return entries;
}

/** Once every entry has its place. */
export async function verifyApp(app: TestApp, evidence: AuditEvidence = {}): Promise<AuditReport> {
  await sequenced(app);
  return verifyAsItIs(app, evidence);
}

export function verifyAsItIs(app: TestApp, evidence: AuditEvidence = {}): Promise<AuditReport> {
  return verifyAudit(storeSource(app.store.reader), { signingKeys: [SIGNING_KEY], ...evidence });
}

export async function checkpointOf(app: TestApp): Promise<string> {
  const answer = await app.ask("GET /api/admin/audit/checkpoint", { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  return answer.text;
}

export function codesOf(report: AuditReport): readonly (readonly [string, number | null])[] {
  return report.findings.map(({ code, seq }) => [code, seq] as const);
}
