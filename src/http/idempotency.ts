// Idempotency-Key: a write that is sent again answers what it answered first. Where a route writes in one transaction
// its answer is stored in that transaction, so a crash cannot separate the write from the memory of it.

import type { Clock } from "../core/clock.ts";
import type { Identity } from "../core/identity.ts";
import { coreError, isPylonError } from "../core/errors.ts";
import { sha256Hex } from "../crypto/digest.ts";
import type { Receipt, RouteAnswer } from "../plugin/route.ts";
import type { Row, Store, TableSpec, Tx } from "../store/store.ts";
import { httpError } from "./http-errors.ts";

const TABLE = "_pylon_idempotency";
/** How long an answer is remembered. */
const KEPT_MS = 24 * 3_600_000;
const KEY_PATTERN = /^[\x21-\x7e]{1,255}$/;
const PENDING = 0;
/** In place of the status of an answer that is not kept. */
const SECRET = 1;

export const idempotencyTable: TableSpec = {
  name: TABLE,
  columns: [
    { name: "fingerprint", type: "text" },
    /** 0 while the first request runs, 1 when its answer is not kept. */
    { name: "status", type: "int" },
    { name: "body", type: "text" },
    { name: "createdAt", type: "int" },
  ],
  indexes: [{ name: `${TABLE}_created`, columns: ["createdAt"], unique: false }],
};

export interface IdempotentRequest {
  readonly key: string;
  readonly identity: Identity;
  readonly method: string;
  readonly path: string;
  readonly bodyText: string;
}

export interface Idempotency {
  /** Runs `handle` once per key and caller; later calls answer what the first did. */
  run(request: IdempotentRequest, handle: (receipt: Receipt) => Promise<RouteAnswer>): Promise<RouteAnswer>;
  /** Forgets answers older than a day; at most `limit`. */
  sweep(limit: number): Promise<number>;
}

/** What is stored of an answer. */
function kept(answer: RouteAnswer): { readonly status: number; readonly body: string | null } {
  if (answer.secret) return { status: SECRET, body: null };
  return { status: answer.status, body: answer.json === undefined ? null : JSON.stringify(answer.json) };
}

function replay(row: Row): RouteAnswer {
  if (row.status === SECRET) throw httpError("IDEMPOTENCY_ANSWER_SECRET");
  return {
    status: row.status as number,
    json: row.body === null ? undefined : (JSON.parse(row.body as string) as unknown),
    headers: { "idempotency-replayed": "true" },
  };
}

/** Beyond the longest that a request takes, before a reservation counts as left behind. */
const GRACE_MS = 30_000;

export interface IdempotencyOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** The longest that a route may take; a first request without an answer after that died with its process. */
  readonly longestMs: number;
}

export function createIdempotency({ store, clock, longestMs }: IdempotencyOptions): Idempotency {
  const answerFrom = (row: Row | undefined, fingerprint: string): RouteAnswer | undefined => {
    if (!row || (row.createdAt as number) < clock.now() - KEPT_MS) return undefined;
    if (row.fingerprint !== fingerprint) throw httpError("IDEMPOTENCY_MISMATCH");
    if (row.status !== PENDING) return replay(row);
    if ((row.createdAt as number) < clock.now() - longestMs - GRACE_MS) return undefined;
    throw httpError("IDEMPOTENCY_IN_PROGRESS", { retryAfterSecs: 1 });
  };

  const save = async (tx: Tx, id: string, fingerprint: string, answer: RouteAnswer | null): Promise<void> => {
    const saved = answer ? kept(answer) : { status: PENDING, body: null };
    const row = { id, fingerprint, ...saved, createdAt: clock.now() };
    const found = await tx.get(TABLE, id);
    if (!found) {
      // Two replicas may both have found nothing; only one of them may commit its write.
      if ((await tx.insert(TABLE, row)).kind === "conflict")
        throw httpError("IDEMPOTENCY_IN_PROGRESS", { retryAfterSecs: 1 });
      return;
    }
    if (answerFrom(found, fingerprint)) throw httpError("IDEMPOTENCY_IN_PROGRESS", { retryAfterSecs: 1 });
    const { id: _, ...columns } = row;
    await tx.update(TABLE, id, columns);
  };

  const reserve = (id: string, fingerprint: string): Promise<void> =>
    store.write((tx) => save(tx, id, fingerprint, null));

  const finish = (id: string, answer: RouteAnswer): Promise<unknown> =>
    store.write<unknown>((tx) => {
      // A failure may be tried again; an answer is remembered.
      if (answer.status >= 500) return tx.delete(TABLE, id);
      return tx.update(TABLE, id, { ...kept(answer) });
    });

  return {
    async run(request, handle) {
      if (!KEY_PATTERN.test(request.key)) {
        const details = [{ path: "Idempotency-Key", message: "Expected 1 to 255 visible ASCII characters" }];
        throw coreError("VALIDATION_FAILED", { details });
      }
      const { identity } = request;
      const id = await sha256Hex(JSON.stringify([identity.kind, identity.userId, identity.tenantId, request.key]));
      const fingerprint = await sha256Hex(`${request.method} ${request.path}\n${request.bodyText}`);
      const stored = answerFrom(await store.reader.get(TABLE, id), fingerprint);
      if (stored) return stored;
      let committed = false;
      let reserved = false;
      const receipt: Receipt = {
        commit: async (tx, answer) => {
          await save(tx, id, fingerprint, answer);
          committed = true;
        },
        reserve: async () => {
          await reserve(id, fingerprint);
          reserved = true;
        },
      };
      try {
        const answer = await handle(receipt);
        if (reserved && !committed) await finish(id, answer);
        return answer;
      } catch (error) {
        // Another request with the key has committed in the meantime: its answer is this one's as well.
        if (isPylonError(error, "IDEMPOTENCY_IN_PROGRESS")) {
          const first = answerFrom(await store.reader.get(TABLE, id), fingerprint);
          if (first) return first;
        }
        // A store that fails here must not hide why the request did: the reservation ends by itself.
        if (reserved && !committed) await store.write((tx) => tx.delete(TABLE, id)).catch(() => undefined);
        throw error;
      }
    },
    sweep: (limit) =>
      store.write((tx) =>
        tx.deleteWhere(TABLE, [{ column: "createdAt", op: "lt", value: clock.now() - KEPT_MS }], limit),
      ),
  };
}
