// The administrator's view of the log: entries, and what outsiders need in order to check them.

import { z } from "zod";
import { isUlid } from "../../core/ids.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import { formatVerifierKey } from "../../crypto/signed-note.ts";
import { dataError } from "../../data/data-errors.ts";
import type { Data } from "../../data/data.ts";
import { normalizeDatetime } from "../../manifest/datetime-text.ts";
import { defineRoute, type Route } from "../../plugin/route.ts";
import type { Condition, Store } from "../../store/store.ts";
import { auditError } from "./audit-errors.ts";
import type { AuditLog } from "./audit-log.ts";
import { AUDIT_LOG } from "./audit-tables.ts";
import type { Checkpoints } from "./checkpoints.ts";
import { createLogProofs } from "./proofs.ts";

const TAG = "audit_log";
const MAX_PAGE = 200;
const text = z.string().min(1).max(1_000);
const time = z.string().transform((value, context) => {
  const normal = normalizeDatetime(value);
  if (normal !== undefined) return normal;
  context.addIssue({ code: "custom", message: "Expected an ISO 8601 time" });
  return z.NEVER;
});
const size = z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER);

const listQuery = z.strictObject({
  entity: text.optional(),
  rowId: text.optional(),
  actorId: text.optional(),
  operation: text.optional(),
  from: time.optional(),
  to: time.optional(),
  cursor: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50),
});

type ListQuery = z.infer<typeof listQuery>;

function conditionsOf(query: ListQuery): Condition[] {
  const equal = (["entity", "rowId", "actorId", "operation"] as const).flatMap((column): Condition[] => {
    const value = query[column];
    return value === undefined ? [] : [{ column, op: "eq", value }];
  });
  const { from, to, cursor } = query;
  return [
    ...equal,
    ...(from === undefined ? [] : [{ column: "createdAt", op: "gte", value: from } as const]),
    ...(to === undefined ? [] : [{ column: "createdAt", op: "lte", value: to } as const]),
    ...(cursor === undefined ? [] : [{ column: "id", op: "lt", value: cursor } as const]),
  ];
}

export interface AuditRoutesOptions {
  readonly store: Store;
  readonly log: AuditLog;
  readonly checkpoints: Checkpoints;
  readonly sha256: Sha256;
  readonly data: () => Data;
}

function listRoute({ store, data }: AuditRoutesOptions): Route {
  return defineRoute({
    method: "GET",
    path: "/api/admin/audit",
    access: "admin",
    tag: TAG,
    summary: "List entries of the audit log, newest first",
    query: listQuery,
    answers: { 200: { description: "A page of entries" } },
    async handle({ query }) {
      if (query.cursor !== undefined && !isUlid(query.cursor)) throw dataError("INVALID_CURSOR");
      const order = { column: "id", descending: true };
      const found = await store.reader.find(AUDIT_LOG, { where: conditionsOf(query), order, limit: query.limit + 1 });
      const page = found.slice(0, query.limit);
      const hasMore = found.length > query.limit;
      const { codec } = data().model.entity(AUDIT_LOG);
      const json = {
        data: page.map((row) => codec.toJson(row)),
        next_cursor: hasMore ? (page.at(-1)?.id ?? null) : null,
        has_more: hasMore,
      };
      return { status: 200, json };
    },
  });
}

function proofRoutes({ store, sha256, checkpoints }: AuditRoutesOptions): Route[] {
  const proofs = createLogProofs({ reader: store.reader, sha256, checkpoints });
  const inclusion = defineRoute({
    method: "GET",
    path: "/api/admin/audit/proof/inclusion",
    access: "admin",
    tag: TAG,
    summary: "Prove that an entry is in the log",
    query: z.strictObject({ seq: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) }),
    answers: {
      200: { description: "RFC 6962 audit path in base64, leaf to root, with the checkpoint that it leads to" },
      404: { description: "There is no such entry, or it was removed by retention" },
      409: { description: "There is no key for checkpoints" },
    },
    handle: async ({ query }) => ({ status: 200, json: await proofs.inclusion(query.seq) }),
  });
  const consistency = defineRoute({
    method: "GET",
    path: "/api/admin/audit/proof/consistency",
    access: "admin",
    tag: TAG,
    summary: "Prove that the log of one size continues the log of a smaller one",
    query: z
      .strictObject({ from: size, to: size })
      .refine(({ from, to }) => from <= to, { message: "Expected from to be at most to", path: ["from"] }),
    answers: {
      200: { description: "RFC 6962 consistency proof in base64" },
      404: { description: "The log is smaller, or what the proof needs was removed by retention" },
    },
    handle: async ({ query }) => ({ status: 200, json: await proofs.consistency(query.from, query.to) }),
  });
  return [inclusion, consistency];
}

const TEXT = { "content-type": "text/plain; charset=utf-8" };

function evidenceRoutes({ log, checkpoints }: AuditRoutesOptions): Route[] {
  const checkpoint = defineRoute({
    method: "GET",
    path: "/api/admin/audit/checkpoint",
    access: "admin",
    tag: TAG,
    summary: "A signed checkpoint of the log as it is now",
    answers: {
      200: { description: "A signed note (C2SP tlog-checkpoint)" },
      409: { description: "There is no key for checkpoints" },
    },
    handle: async () => ({ status: 200, text: (await checkpoints.current()).note, headers: TEXT }),
  });
  const key = defineRoute({
    method: "GET",
    path: "/api/admin/audit/key",
    access: "admin",
    tag: TAG,
    summary: "The key that checks the log's checkpoints",
    answers: {
      200: { description: "A verifier key in the format of signed notes" },
      409: { description: "There is no key for checkpoints" },
    },
    async handle() {
      const { noteSigner } = log.keys;
      if (!noteSigner) throw auditError("AUDIT_NO_KEY");
      return { status: 200, text: `${formatVerifierKey(noteSigner)}\n`, headers: TEXT };
    },
  });
  return [checkpoint, key];
}

export function auditRoutes(options: AuditRoutesOptions): Route[] {
  return [listRoute(options), ...evidenceRoutes(options), ...proofRoutes(options)];
}
