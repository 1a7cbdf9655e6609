// The write path over a SQLite file of its own, on virtual time, and callers to use it as.

import assert from "node:assert/strict";

import { createVirtualClock, type VirtualClock } from "../../src/core/clock.ts";
import { isPylonError, type PylonError } from "../../src/core/errors.ts";
import { ADMIN, ANONYMOUS, SYSTEM, type Identity } from "../../src/core/identity.ts";
import { createUlidSource } from "../../src/core/ids.ts";
import type { Log } from "../../src/core/log.ts";
import type { WriteHooks } from "../../src/data/change.ts";
import { createData, type Data } from "../../src/data/data.ts";
import { applyMigration, createSystemTables, planMigration } from "../../src/data/migration.ts";
import { createModel } from "../../src/data/model.ts";
import type { Scope } from "../../src/data/scope.ts";
import type { EntityDef, PolicyDef } from "../../src/manifest/manifest.ts";
import type { NewJob, Store } from "../../src/store/store.ts";
import { openTestStore } from "../store/open-test-store.ts";

export interface DataHarness {
  readonly store: Store;
  readonly data: Data;
  readonly clock: VirtualClock;
  /** Lines of the log: event and message. */
  readonly logged: string[];
}

export interface DataHarnessOptions {
  readonly entities: readonly EntityDef[];
  readonly policies?: readonly PolicyDef[];
  readonly hooks?: readonly WriteHooks[];
  readonly readOnly?: readonly string[];
}

/** Opens the write path, hands it to `run`, and removes its file. */
export async function withData(
  options: DataHarnessOptions,
  run: (harness: DataHarness) => Promise<void>,
): Promise<void> {
  const { store, cleanup } = await openTestStore();
  try {
    await createSystemTables(store, []);
    await applyMigration(store, await planMigration(store, options.entities), { allowDestructive: false });
    const clock = createVirtualClock();
    const logged: string[] = [];
    const note: Log["info"] = (event, fields) => logged.push(`${event}: ${JSON.stringify(fields?.["message"])}`);
    const model = createModel({
      entities: options.entities,
      policies: options.policies ?? [],
      readOnly: new Set(options.readOnly ?? []),
    });
    const data = createData({
      store,
      model,
      hooks: options.hooks ?? [],
      clock,
      ulid: createUlidSource(),
      log: { info: note, warn: note, error: note },
    });
    await run({ store, data, clock, logged });
  } finally {
    await cleanup();
  }
}

export function userOf(userId: string, tenantId: string | null = null, roles: readonly string[] = []): Identity {
  return { ...ANONYMOUS, kind: "user", userId, tenantId, roles };
}

/** As a caller from outside: policies count. */
export function asCaller(actor: Identity): Scope {
  return { actor, policies: true, requestId: "req_1" };
}

export const AS_ADMIN: Scope = asCaller(ADMIN);
export const AS_NOBODY: Scope = asCaller(ANONYMOUS);
/** An application function of this user. */
export function asFunction(actor: Identity): Scope {
  return { actor, policies: false, requestId: null };
}
export const AS_PYLON: Scope = { actor: SYSTEM, policies: false, requestId: null, internal: true };

/** The coded error that `work` ends with. */
export async function errorOf(work: Promise<unknown>): Promise<PylonError> {
  const outcome = await work.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ("error" in outcome) {
    if (isPylonError(outcome.error)) return outcome.error;
    throw outcome.error;
  }
  throw new assert.AssertionError({ message: `Expected an error, got ${JSON.stringify(outcome.value)}` });
}

/** The code of the error that `work` ends with. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  return (await errorOf(work)).code;
}

/** Where the problems of an error are. */
export async function pathsOf(work: Promise<unknown>): Promise<readonly string[]> {
  return ((await errorOf(work)).details ?? []).map(({ path }) => path);
}

export function newJob(id: string, at: number): NewJob {
  return { id, kind: "note", lane: "note", payload: "", dueAt: at, createdAt: at };
}
