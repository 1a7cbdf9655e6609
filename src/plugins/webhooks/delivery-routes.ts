// The administrator's view of deliveries: list, look at one with its attempts, send one again.

import { z } from "zod";
import type { Clock } from "../../core/clock.ts";
import { coreError } from "../../core/errors.ts";
import { SYSTEM } from "../../core/identity.ts";
import { dataError } from "../../data/data-errors.ts";
import type { Data } from "../../data/data.ts";
import { defineRoute, type Route, type RouteAnswer, type RouteRequest } from "../../plugin/route.ts";
import type { Job, JobQuery, JobState, Reader } from "../../store/store.ts";
import { DEAD_LETTER } from "./dead-letter.ts";
import { findHook } from "./delivery-job.ts";
import { bodyOf, DELIVERY_KIND, deliveryOf } from "./delivery.ts";
import type { Hook } from "./hook-config.ts";
import { webhookError } from "./webhook-errors.ts";

const STATUSES = ["pending", "succeeded", "failed", "dead"] as const;
type DeliveryStatus = (typeof STATUSES)[number];

const WAITING: readonly JobState[] = ["ready", "blocked"];
const LIVE: readonly JobState[] = [...WAITING, "leased"];
/** Attempts under way: the engines of all replicas run fewer than this. */
const MAX_RUNNING = 10_000;

/** How many pages of unfinished deliveries are looked at before all of them are. */
const WINDOW_PAGES = 4;

const STATES_OF: Readonly<Record<"succeeded" | "dead", readonly JobState[]>> = { succeeded: ["done"], dead: ["dead"] };
const ALL_STATES: readonly JobState[] = [...LIVE, "done", "dead"];

function finishedAttempts(job: Job): number {
  const tried = job.attempt - job.lost;
  return job.state === "leased" ? tried - 1 : tried;
}

/** `pending` has no attempt behind it; `failed` has, and is tried again. */
function statusOf(job: Job): DeliveryStatus {
  if (job.state === "done") return "succeeded";
  if (job.state === "dead") return "dead";
  return finishedAttempts(job) > 0 ? "failed" : "pending";
}

function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}

/** A delivery as the API shows it: the URL of an unfinished one is where it goes next. Times are ISO 8601. */
export function describeDelivery(job: Job, hooks: readonly Hook[]): Record<string, unknown> {
  const delivery = deliveryOf(job);
  const body = bodyOf(delivery);
  const hook = LIVE.includes(job.state) ? findHook(hooks, delivery) : undefined;
  return {
    deliveryId: job.id,
    hook: delivery.hook,
    url: hook?.url ?? delivery.url,
    entity: body.entity,
    rowId: body.row_id,
    event: body.event,
    status: statusOf(job),
    attempts: finishedAttempts(job),
    lastStatus: job.lastStatus,
    lastError: job.lastError,
    nextAttemptAt: isoOrNull(LIVE.includes(job.state) ? job.dueAt : null),
    createdAt: isoOrNull(job.createdAt),
  };
}

const listQuery = z.strictObject({
  status: z.enum(STATUSES).optional(),
  cursor: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});

/** @throws INVALID_CURSOR */
function parseCursor(cursor: string): number {
  const seq = /^[1-9]\d{0,15}$/.test(cursor) ? Number(cursor) : NaN;
  if (Number.isSafeInteger(seq)) return seq;
  throw dataError("INVALID_CURSOR");
}

export interface DeliveryRoutesOptions {
  readonly hooks: readonly Hook[];
  readonly reader: Reader;
  readonly data: () => Data;
  readonly clock: Clock;
}

type Page = Pick<JobQuery, "beforeSeq" | "limit">;

/** What each of the queries finds, once: between two of them a job may have begun to run. */
async function findJobs(reader: Reader, queries: readonly Omit<JobQuery, "kind">[]): Promise<Job[]> {
  const found = await Promise.all(queries.map((query) => reader.listJobs({ kind: DELIVERY_KIND, ...query })));
  return [...new Map(found.flat().map((job) => [job.seq, job])).values()];
}

/** The newest unfinished deliveries of a status. */
async function listLive(reader: Reader, status: "pending" | "failed", page: Page): Promise<Job[]> {
  const only = (jobs: readonly Job[]): Job[] => jobs.filter((job) => statusOf(job) === status).slice(0, page.limit);
  // Most often the newest ones are enough; what runs cannot be found without a look at every unfinished delivery.
  const newest = await findJobs(reader, [{ ...page, states: LIVE, limit: page.limit * WINDOW_PAGES }]);
  const matching = only(newest);
  if (matching.length === page.limit || newest.length < page.limit * WINDOW_PAGES) return matching;
  const jobs = await findJobs(reader, [
    { ...page, states: WAITING, tried: status === "failed" },
    { ...page, states: ["leased"], limit: MAX_RUNNING },
  ]);
  return only(jobs.sort((a, b) => b.seq - a.seq));
}

/** The newest deliveries below `beforeSeq`, of a status or all. */
function listDeliveries(reader: Reader, status: DeliveryStatus | undefined, page: Page): Promise<Job[]> {
  if (status === "pending" || status === "failed") return listLive(reader, status, page);
  return findJobs(reader, [{ ...page, states: status ? STATES_OF[status] : ALL_STATES }]);
}

async function findDelivery(reader: Reader, deliveryId: string): Promise<Job> {
  const job = await reader.getJob(deliveryId);
  if (job?.kind !== DELIVERY_KIND) throw coreError("NOT_FOUND", { message: "There is no such delivery" });
  return job;
}

/** Makes a finished delivery due again under the same id; its dead letter is gone in the same transaction. */
async function retryDelivery(
  options: DeliveryRoutesOptions,
  { params: { deliveryId = "" }, receipt }: RouteRequest,
): Promise<RouteAnswer> {
  const answer = { status: 202, json: { deliveryId, status: "pending" } };
  const scope = { actor: SYSTEM, policies: false, requestId: null, internal: true };
  await options.data().write(scope, async (writer) => {
    const job = await findDelivery(writer.tx, deliveryId);
    if (!(await writer.tx.requeueJob(deliveryId, options.clock.now()))) {
      throw webhookError("DELIVERY_PENDING", {
        hint: `It is tried again at ${isoOrNull(job.dueAt) ?? "once"} without your doing`,
      });
    }
    const letter = await writer.lookup(DEAD_LETTER, "deliveryId", deliveryId);
    if (letter) await writer.delete(DEAD_LETTER, letter.id);
    await receipt?.commit(writer.tx, answer);
  });
  return answer;
}

export function deliveryRoutes(options: DeliveryRoutesOptions): Route[] {
  const list = defineRoute({
    method: "GET",
    path: "/api/admin/deliveries",
    access: "admin",
    tag: "webhooks",
    summary: "List deliveries, newest first",
    query: listQuery,
    answers: { 200: { description: "A page of deliveries" } },
    async handle({ query }) {
      const below = query.cursor === undefined ? {} : { beforeSeq: parseCursor(query.cursor) };
      const found = await listDeliveries(options.reader, query.status, { ...below, limit: query.limit + 1 });
      const page = found.slice(0, query.limit);
      const last = page.at(-1);
      const nextCursor = found.length > query.limit && last ? String(last.seq) : null;
      return {
        status: 200,
        json: { data: page.map((job) => describeDelivery(job, options.hooks)), next_cursor: nextCursor },
      };
    },
  });
  const show = defineRoute({
    method: "GET",
    path: "/api/admin/deliveries/:deliveryId",
    access: "admin",
    tag: "webhooks",
    summary: "Look at a delivery and its attempts",
    answers: { 200: { description: "The delivery with attempts_log" }, 404: { description: "No such delivery" } },
    async handle({ params }) {
      const job = await findDelivery(options.reader, params.deliveryId ?? "");
      const attempts = await options.reader.listAttempts(job.id);
      const log = attempts.map(({ startedAt, ...attempt }) => ({ ...attempt, startedAt: isoOrNull(startedAt) }));
      const shown = describeDelivery(job, options.hooks);
      return { status: 200, json: { ...shown, payload: bodyOf(deliveryOf(job)), attempts_log: log } };
    },
  });
  const retry = defineRoute({
    method: "POST",
    path: "/api/admin/deliveries/:deliveryId/retry",
    access: "admin",
    tag: "webhooks",
    summary: "Send a finished delivery again, with the same delivery_id",
    idempotency: "transactional",
    answers: {
      202: { description: "Scheduled" },
      404: { description: "No such delivery" },
      409: { description: "Not finished" },
    },
    handle: (request) => retryDelivery(options, request),
  });
  return [list, show, retry];
}
