// THE write path. Every row that an application has is written here and nowhere else: validated, allowed by policy, shown
// to the hooks, and committed in one transaction with everything that the hooks cause.

import type { Clock } from "../core/clock.ts";
import { coreError, messageOf } from "../core/errors.ts";
import type { Identity } from "../core/identity.ts";
import type { UlidSource } from "../core/ids.ts";
import type { Log } from "../core/log.ts";
import type { InsertOutcome, Reader, Row, Store, Tx, UpdateOutcome, Value, WriteOptions } from "../store/store.ts";
import type { Change, WriteHooks, WriteOp } from "./change.ts";
import { dataError } from "./data-errors.ts";
import { createDataReader, type DataReader } from "./data-reader.ts";
import type { ParseResult } from "./entity-input.ts";
import type { EntityModel, Model } from "./model.ts";
import type { Scope } from "./scope.ts";

export interface DataWriter extends DataReader {
  /** @returns the row. @throws VALIDATION_FAILED, CONFLICT, POLICY_DENIED, AUTH_REQUIRED, READ_ONLY */
  insert(entity: string, input: unknown): Promise<Row>;
  /** @returns the row after the write, or null when there is none to write. */
  update(entity: string, id: string, patch: unknown): Promise<Row | null>;
  /** @returns the row as it was, or null when there was none. */
  delete(entity: string, id: string): Promise<Row | null>;
  /**
   * Writes rows that Pylon makes itself, of values as the entity's codec makes them: they are not validated. Hooks see them
   * like any other write; where none would, they cost no more than their statements.
   *
   * @returns their ids. @throws CONFLICT
   */
  insertOwn(entity: string, rows: readonly Readonly<Record<string, Value>>[]): Promise<readonly string[]>;
  /** The same for a row that is there. @returns whether it was. */
  updateOwn(entity: string, id: string, patch: Readonly<Record<string, Value>>): Promise<boolean>;
  /** The transaction, for jobs and for tables that are not entities. */
  readonly tx: Tx;
}

export interface Data {
  readonly model: Model;
  /** Reads that see the last commit. */
  read(scope: Scope): DataReader;
  /** Several writes in one transaction. */
  write<T>(scope: Scope, run: (writer: DataWriter) => Promise<T>, options?: WriteOptions): Promise<T>;
  /**
   * Writes inside a transaction that is already open, such as a job's settlement. Whoever opened it has to let a failed
   * write fail the transaction, and hears of its commit alone: `after` hooks do not run.
   */
  within(scope: Scope, tx: Tx): DataWriter;
  insert(scope: Scope, entity: string, input: unknown): Promise<Row>;
  update(scope: Scope, entity: string, id: string, patch: unknown): Promise<Row | null>;
  delete(scope: Scope, entity: string, id: string): Promise<Row | null>;
}

export interface DataOptions {
  readonly store: Store;
  readonly model: Model;
  /** In the order of the application's plugins. */
  readonly hooks: readonly WriteHooks[];
  readonly clock: Clock;
  readonly ulid: UlidSource;
  /** Told of `after` hooks that throw, which they must not. */
  readonly log?: Log;
}

type HooksOf = (entity: string) => readonly WriteHooks[];

interface WriteContext {
  readonly scope: Scope;
  readonly model: Model;
  readonly hooksOf: HooksOf;
  readonly clock: Clock;
  readonly ulid: UlidSource;
  /** Told when a `within` hook fails: the row has changed by then. */
  readonly onSpoiled?: (error: unknown) => void;
}

/** What a write is about. */
interface Target {
  readonly entity: string;
  readonly id: string;
  readonly input: unknown;
}

/** A validated write whose `before` hooks have run; what remains needs the transaction. */
interface Prepared {
  readonly op: WriteOp;
  readonly entity: EntityModel;
  readonly id: string;
  readonly data: Record<string, Value>;
}

function validated(result: ParseResult): Record<string, Value> {
  if (!result.ok) throw coreError("VALIDATION_FAILED", { details: result.problems });
  return result.data;
}

function deny(actor: Identity): Error {
  return actor.kind === "anonymous" ? coreError("AUTH_REQUIRED") : dataError("POLICY_DENIED");
}

async function prepare(context: WriteContext, op: WriteOp, target: Target): Promise<Prepared> {
  const { scope } = context;
  const entity = context.model.entity(target.entity);
  if (entity.readOnly && !scope.internal) throw dataError("READ_ONLY");
  if (scope.policies && !scope.actor.isAdmin && !entity.rules.governs(op)) throw deny(scope.actor);
  let data: Record<string, Value> = {};
  if (op === "insert") data = validated(entity.codec.parseInsert(target.input));
  if (op === "update") data = validated(entity.codec.parseUpdate(target.input));
  if (op === "insert" && scope.policies && !entity.rules.allows("insert", scope.actor, { data, existing: null })) {
    throw deny(scope.actor);
  }
  for (const hooks of context.hooksOf(target.entity)) {
    const pending = hooks.before?.({ op, entity: target.entity, id: target.id, data, actor: scope.actor });
    if (pending) await pending;
  }
  return { op, entity, id: target.id, data };
}

function notConflicting<T extends InsertOutcome | UpdateOutcome>(outcome: T): Exclude<T, { kind: "conflict" }> {
  if (outcome.kind !== "conflict") return outcome as Exclude<T, { kind: "conflict" }>;
  const details = outcome.columns.map((path) => ({ path, message: "Another row has this value" }));
  throw dataError("CONFLICT", { details });
}

/** What an update or a delete may see and do; null when the row is hidden or missing. */
function allowedExisting(context: WriteContext, prepared: Prepared, existing: Row | undefined): Row | null {
  const { actor, policies } = context.scope;
  if (!existing) return null;
  if (!policies) return existing;
  const { rules } = prepared.entity;
  const rows = { data: existing, existing };
  if (rules.governs("read") && !rules.allows("read", actor, { data: existing, existing: null })) return null;
  const operation = prepared.op === "delete" ? "delete" : "update";
  if (!rules.allows(operation, actor, rows)) throw deny(actor);
  const after = { ...existing, ...prepared.data };
  if (operation === "update" && !rules.allows("update", actor, { data: after, existing })) throw deny(actor);
  return existing;
}

/** Makes the row change itself. Answers the rows before and after, or null when there is no row to change. */
async function applyRow(
  context: WriteContext,
  prepared: Prepared,
  tx: Tx,
): Promise<{ before: Row | null; after: Row | null } | null> {
  const { entity, id, data, op } = prepared;
  const table = entity.table.name;
  if (op === "insert") {
    const after: Row = { id, ...data };
    notConflicting(await tx.insert(table, after));
    return { before: null, after };
  }
  const before = allowedExisting(context, prepared, await tx.get(table, id));
  if (!before) return null;
  if (op === "delete") {
    await tx.delete(table, id);
    return { before, after: null };
  }
  notConflicting(await tx.update(table, id, data));
  return { before, after: { ...before, ...data } };
}

async function apply(context: WriteContext, prepared: Prepared, tx: Tx): Promise<Change | null> {
  const rows = await applyRow(context, prepared, tx);
  if (!rows) return null;
  const change: Change = {
    op: prepared.op,
    entity: prepared.entity.def.name,
    id: prepared.id,
    before: rows.before,
    after: rows.after,
    draft: prepared.data,
    actor: context.scope.actor,
    requestId: context.scope.requestId,
    at: context.clock.now(),
  };
  try {
    for (const hooks of context.hooksOf(change.entity)) {
      const pending = hooks.within?.(change, tx);
      if (pending) await pending;
    }
  } catch (error) {
    context.onSpoiled?.(error);
    throw error;
  }
  return change;
}

/** The writes of one transaction, one after the other. */
interface WriteSequence {
  readonly changes: readonly Change[];
  run(op: WriteOp, target: Target): Promise<Change | null>;
  /**
   * Waits for writes that nobody waited for.
   *
   * @throws what made a `within` hook fail: the row is written and its audit entry or job is not, so the transaction must
   * not commit, even when the writer's caller caught the error.
   */
  finish(): Promise<void>;
}

function createSequence(base: WriteContext, tx: Tx): WriteSequence {
  const changes: Change[] = [];
  let spoiled: { readonly error: unknown } | undefined;
  const context: WriteContext = {
    ...base,
    onSpoiled(error) {
      spoiled ??= { error };
    },
  };
  const write = async (op: WriteOp, target: Target): Promise<Change | null> => {
    if (spoiled) throw spoiled.error;
    const change = await apply(context, await prepare(context, op, target), tx);
    if (change) changes.push(change);
    return change;
  };
  let last: Promise<unknown> = Promise.resolve();
  return {
    changes,
    run(op, target) {
      // Two updates of one row at once would each take the row as it was before both for what they change.
      const turn = (): Promise<Change | null> => write(op, target);
      const result = last.then(turn, turn);
      last = result;
      return result;
    },
    async finish() {
      for (let waited: unknown; waited !== last;) {
        waited = last;
        await last.catch(() => undefined);
      }
      if (spoiled) throw spoiled.error;
    },
  };
}

/** @param sequence what validated writes share; asked for by the first of them. */
function createWriter(context: WriteContext, tx: Tx, sequence: () => WriteSequence): DataWriter {
  const isUnheard = (entity: string): boolean => !context.scope.policies && context.hooksOf(entity).length === 0;
  const tableOf = (entity: string): string => context.model.entity(entity).table.name;
  return {
    ...createDataReader(context.model, tx, context.scope),
    tx,
    insert: async (entity, input) => {
      const change = await sequence().run("insert", { entity, id: context.ulid(context.clock.now()), input });
      return change?.after as Row;
    },
    update: async (entity, id, patch) => (await sequence().run("update", { entity, id, input: patch }))?.after ?? null,
    delete: async (entity, id) => (await sequence().run("delete", { entity, id, input: undefined }))?.before ?? null,
    async insertOwn(entity, given) {
      const rows = given.map((data): Row => ({ id: context.ulid(context.clock.now()), ...data }));
      if (isUnheard(entity)) {
        notConflicting(await tx.insertMany(tableOf(entity), rows));
      } else {
        for (const { id, ...input } of rows) await sequence().run("insert", { entity, id, input });
      }
      return rows.map(({ id }) => id);
    },
    async updateOwn(entity, id, patch) {
      if (!isUnheard(entity)) return (await sequence().run("update", { entity, id, input: patch })) !== null;
      return notConflicting(await tx.update(tableOf(entity), id, patch)).kind === "updated";
    },
  };
}

function indexHooks(hooks: readonly WriteHooks[]): HooksOf {
  const byEntity = new Map<string, readonly WriteHooks[]>();
  return (entity) => {
    let found = byEntity.get(entity);
    if (!found) {
      found = hooks.filter((hook) => hook.entities === undefined || hook.entities.has(entity));
      byEntity.set(entity, found);
    }
    return found;
  };
}

export function createData(options: DataOptions): Data {
  const { store, model, clock, ulid } = options;
  const hooksOf = indexHooks(options.hooks);
  const contextOf = (scope: Scope): WriteContext => ({ scope, model, hooksOf, clock, ulid });
  const announce = (change: Change): void => {
    for (const hooks of hooksOf(change.entity)) {
      try {
        hooks.after?.(change);
      } catch (error) {
        // The write is committed: its caller must not be told that it failed, nor the next hook go without it.
        options.log?.error("data.after_hook_failed", { entity: change.entity, message: messageOf(error) });
      }
    }
  };
  const readerOf = (reader: Reader, scope: Scope): DataReader => createDataReader(model, reader, scope);
  /** One write: everything that can wait for something else happens before the transaction begins. */
  const single = async (scope: Scope, op: WriteOp, target: Target): Promise<Change | null> => {
    const context = contextOf(scope);
    const prepared = await prepare(context, op, target);
    const change = await store.write((tx) => apply(context, prepared, tx));
    if (change) announce(change);
    return change;
  };
  return {
    model,
    read: (scope) => readerOf(store.reader, scope),
    async write(scope, run, writeOptions = {}) {
      let changes: readonly Change[] = [];
      const result = await store.write(async (tx) => {
        const context = contextOf(scope);
        const sequence = createSequence(context, tx);
        const answer = await run(createWriter(context, tx, () => sequence));
        await sequence.finish();
        // A store may run a transaction again: what counts is the run that commits.
        changes = sequence.changes;
        return answer;
      }, writeOptions);
      for (const change of changes) announce(change);
      return result;
    },
    within(scope, tx) {
      const context = contextOf(scope);
      let sequence: WriteSequence | undefined;
      return createWriter(context, tx, () => (sequence ??= createSequence(context, tx)));
    },
    insert: async (scope, entity, input) =>
      (await single(scope, "insert", { entity, id: ulid(clock.now()), input }))?.after as Row,
    update: async (scope, entity, id, patch) =>
      (await single(scope, "update", { entity, id, input: patch }))?.after ?? null,
    delete: async (scope, entity, id) =>
      (await single(scope, "delete", { entity, id, input: undefined }))?.before ?? null,
  };
}
