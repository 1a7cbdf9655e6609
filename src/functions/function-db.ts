// `ctx.db`: what a handler reads and writes with. It adds nothing to the write path; it only answers with what application
// code expects (ids, whether a row existed) and lets nothing through once the call has ended.

import { coreError } from "../core/errors.ts";
import type { DataReader } from "../data/data-reader.ts";
import type { Row } from "../store/store.ts";
import type { DbReader, DbWriter } from "./contexts.ts";
import type { Turnstile } from "./current-call.ts";
import { describeValue } from "../core/to-json.ts";

/** Application code is not always compiled: an undefined id must not become "undefined". */
function assertNames(names: Readonly<Record<string, unknown>>): void {
  for (const [path, name] of Object.entries(names)) {
    if (typeof name === "string") continue;
    const message = `Expected string, got ${describeValue(name)}`;
    throw coreError("VALIDATION_FAILED", {
      message: `The ${path} is not a string`,
      details: [{ path, message }],
    });
  }
}

export function createDbReader(reader: DataReader, turnstile: Turnstile): DbReader {
  const pass = <T>(names: Readonly<Record<string, unknown>>, read: () => Promise<unknown>): Promise<T> =>
    turnstile.pass(async () => {
      assertNames(names);
      return (await read()) as T;
    });
  return {
    get: (entity, id) => pass({ entity, id }, () => reader.get(entity, id)),
    list: (entity) => pass({ entity }, () => reader.list(entity)),
    query: (entity, filter = {}) => pass({ entity }, () => reader.query(entity, filter)),
    lookup: (entity, field, value) => pass({ entity, field }, () => reader.lookup(entity, field, value)),
    paginate: (entity, options) =>
      pass({ entity }, () => reader.paginate(entity, { ...options, cursor: options.cursor ?? null })),
  };
}

/** Writes of single rows: into a transaction that is open, or each in one of its own. */
export interface RowWriter {
  insert(entity: string, input: unknown): Promise<Row>;
  update(entity: string, id: string, patch: unknown): Promise<Row | null>;
  delete(entity: string, id: string): Promise<Row | null>;
}

export function createDbWriter(reader: DataReader, rows: RowWriter, turnstile: Turnstile): DbWriter {
  return {
    ...createDbReader(reader, turnstile),
    insert: (entity, row) =>
      turnstile.pass(async () => {
        assertNames({ entity });
        return (await rows.insert(entity, row)).id;
      }),
    update: (entity, id, patch) =>
      turnstile.pass(async () => {
        assertNames({ entity, id });
        return (await rows.update(entity, id, patch)) !== null;
      }),
    delete: (entity, id) =>
      turnstile.pass(async () => {
        assertNames({ entity, id });
        return (await rows.delete(entity, id)) !== null;
      }),
  };
}
