// The first attempts of one event at many endpoints: one job for a page of them, because most deliveries need no second
// attempt, and a job for each costs more than the attempt. What fails becomes a job of its own, with the schedule in front of
// it; so does at once what cannot be sent right now: where an earlier delivery waits, fails slowly, or is paced.

import { messageOf } from "../../core/errors.ts";
import type { Data } from "../../data/data.ts";
import { exponentialDelayMs } from "../../jobs/backoff.ts";
import type { JobContext, JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import type { Reader, Tx } from "../../store/store.ts";
import { deliveryIdOf, enqueueDelivery } from "./delivery.ts";
import type { AttemptParts } from "./delivery-job.ts";
import type { Subject } from "./delivery-subject.ts";
import { laneOf } from "./endpoint-lanes.ts";
import { planNext } from "./plan-next.ts";
import { ROUND_KIND, roundOf, type Waiting } from "./round.ts";
import { createSendGate } from "./send-gate.ts";
import { ATTEMPT } from "./webhook-entities.ts";
import type { WebhookEvent } from "./webhook-event.ts";

/** Rounds of one application under way in one process: endpoints that hang keep theirs open. */
const ROUNDS_AT_ONCE = 64;
/** Endpoints that are read together, right before they are sent to. */
const SLICE = 32;
/** What the platform's `fetch` takes at once, and some to spare. */
const SENDS_AT_ONCE = 48;
/** A send that takes longer than this is not waited for. */
const SLOW_MS = 250;
/** Unrecorded sends of one process: the engine would hold no more jobs at once. */
const MAX_BACKLOG = 1_024;
const RETRY = { baseMs: 1_000, maxMs: 300_000 } as const;

export interface FirstRoundOptions extends AttemptParts {
  readonly data: () => Data;
  readonly reader: Reader;
}

/** One round under way. */
interface Round {
  readonly eventKey: string;
  readonly context: JobContext;
  /** Whether it was under way before. */
  readonly isAgain: boolean;
}

/** Those that a run before this one has neither made nor handed over. */
async function stillWaiting(
  { data, reader }: FirstRoundOptions,
  slice: readonly Waiting[],
  event: WebhookEvent | undefined,
): Promise<ReadonlySet<Waiting>> {
  const { table } = data().model.entity(ATTEMPT);
  const where = [{ column: "id", op: "in", values: slice.map(({ attemptId }) => attemptId) }] as const;
  const rows = await reader.find(table.name, { where, limit: slice.length });
  const pending = new Set(rows.filter(({ status }) => status === "pending").map(({ id }) => id));
  const left = new Set<Waiting>();
  for (const one of slice) {
    const job = event && (await reader.getJob(deliveryIdOf(one.endpointId, event)));
    if (pending.has(one.attemptId) && (!job || job.finishedAt !== null)) left.add(one);
  }
  return left;
}

/** Makes one attempt and records it. `leave` is called once nothing is sent any more. */
type MakeAttempt = (one: Waiting, subject: Subject, round: Round, leave: () => void) => Promise<void>;

/** Sends that have ended and are not recorded: what would be sent again after a crash. While there are many, none begins. */
interface Backlog {
  enter(): void;
  leave(): void;
  /** Resolves when there are few. */
  room(): Promise<void>;
}

function createBacklog(): Backlog {
  let size = 0;
  const waiting: (() => void)[] = [];
  const room = async (): Promise<void> => {
    if (size < MAX_BACKLOG) return;
    await new Promise<void>((resolve) => void waiting.push(resolve));
    return room();
  };
  return {
    enter: () => void (size += 1),
    leave() {
      size -= 1;
      for (const resume of waiting.splice(0)) resume();
    },
    room,
  };
}

function createAttempt(options: AttemptParts, backlog: Backlog): MakeAttempt {
  const { clock, send, record } = options;
  return async ({ endpointId, attemptId }, subject, { eventKey, context }, leave) => {
    const { event, endpoint } = subject;
    const handOver = async (): Promise<void> => {
      if (!event || !endpoint) return;
      await context.record((tx) => enqueueDelivery(tx, { event, endpoint }, { attemptId, nowMs: clock.now() }));
    };
    // One that is in order by now needs a job that waits for those before it.
    const leaveLane = endpoint && (endpoint.ordered ? undefined : context.enterLane(laneOf(endpointId)));
    if (event && endpoint && !leaveLane) {
      leave();
      return handOver();
    }
    const ended = await send(subject, context).finally(() => {
      leave();
      leaveLane?.();
    });
    if (context.isAborted) return;
    const { status, delayMs } = planNext(ended.result, 1, options);
    const nowMs = clock.now();
    const nextAt = delayMs === undefined ? null : nowMs + delayMs;
    const delivery = { endpointId, eventKey, attemptId };
    const settle = async (tx: Tx): Promise<void> => {
      const next = await record(tx, { delivery, subject, ended, isFirst: true, tries: 1, status, nextAt });
      if (nextAt === null || next === undefined || !event || !endpoint) return;
      await enqueueDelivery(tx, { event, endpoint }, { attemptId: next, nowMs, dueAt: Math.ceil(nextAt), tries: 1 });
    };
    backlog.enter();
    // What cannot be recorded is this one's trouble, not that of its round.
    await context
      .record(settle)
      .catch(handOver)
      .finally(() => backlog.leave());
  };
}

export function createFirstRoundJob(options: FirstRoundOptions): JobHandler {
  const { clock, load } = options;
  const backlog = createBacklog();
  const attempt = createAttempt(options, backlog);
  const gate = createSendGate({ places: SENDS_AT_ONCE, slowMs: SLOW_MS, clock });

  /** Begins the attempts of a slice as their turns come, and adds them to those under way. */
  const begin = async (slice: readonly Waiting[], round: Round, under: Promise<void>[]): Promise<void> => {
    const subjects = await load(
      round.eventKey,
      slice.map(({ endpointId }) => endpointId),
    );
    const left = round.isAgain ? await stillWaiting(options, slice, subjects[0]?.event) : undefined;
    for (const [i, one] of slice.entries()) {
      const subject = subjects[i];
      if (!subject || left?.has(one) === false) continue;
      await backlog.room();
      const leave = await gate.enter(subject.event?.applicationId ?? "");
      if (round.context.isAborted) return leave();
      const made = attempt(one, subject, round, leave);
      // It is looked at when all of them have ended.
      made.catch(() => undefined);
      under.push(made);
    }
  };

  const makeAll = async (waiting: readonly Waiting[], round: Round): Promise<void> => {
    const under: Promise<void>[] = [];
    try {
      for (let at = 0; at < waiting.length && !round.context.isAborted; at += SLICE) {
        await begin(waiting.slice(at, at + SLICE), round, under);
      }
    } finally {
      // None goes on behind the job's back.
      await Promise.allSettled(under);
    }
    await Promise.all(under);
  };

  return {
    kind: ROUND_KIND,
    goesOn: true,
    laneConcurrency: ROUNDS_AT_ONCE,
    async run(job, context): Promise<JobOutcome> {
      const { eventKey, waiting } = roundOf(job);
      try {
        await makeAll(waiting, { eventKey, context, isAgain: job.attempt > 1 });
        return context.isAborted ? { kind: "retry", delayMs: 0 } : { kind: "done" };
      } catch (error) {
        // Never dead: its deliveries were promised.
        const delayMs = exponentialDelayMs({ ...RETRY, attempt: job.attempt, random: options.random });
        return { kind: "retry", delayMs, note: { error: messageOf(error) } };
      }
    },
  };
}
