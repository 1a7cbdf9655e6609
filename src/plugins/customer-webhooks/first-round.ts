// The first attempts of one event at many endpoints: one job for a page of them, because most deliveries need no second
// attempt, and a job for each costs more than the attempt. What fails becomes a job of its own, with the schedule in front of
// it; so does at once what cannot be sent right now: where an earlier delivery waits, fails slowly, or is paced.

import type { Data } from "../../data/data.ts";
import type { JobContext, JobHandler, JobOutcome } from "../../jobs/job-handler.ts";
import type { Reader } from "../../store/store.ts";
import { enqueueDelivery } from "./delivery.ts";
import type { AttemptParts } from "./delivery-job.ts";
import type { Subject } from "./delivery-subject.ts";
import { laneOf } from "./endpoint-lanes.ts";
import { planNext } from "./plan-next.ts";
import { ROUND_KIND, roundOf, type Waiting } from "./round.ts";
import { createSendGate, type SendGate } from "./send-gate.ts";
import { ATTEMPT } from "./webhook-entities.ts";

/** Rounds of one application under way in one process: endpoints that hang keep theirs open. */
const ROUNDS_AT_ONCE = 64;
/** Endpoints that are read together, right before they are sent to. */
const SLICE = 32;
/** What the platform's `fetch` takes at once, and some to spare. */
const SENDS_AT_ONCE = 48;
/** A send that takes longer than this is not waited for. */
const SLOW_MS = 250;

export interface FirstRoundOptions extends AttemptParts {
  readonly data: () => Data;
  readonly reader: Reader;
}

/** One round under way. */
interface Round {
  readonly eventKey: string;
  readonly context: JobContext;
  readonly gate: SendGate;
}

const ignore = (): void => undefined;

export function createFirstRoundJob(options: FirstRoundOptions): JobHandler {
  const { data, reader, clock, load, send, record } = options;
  const gate = createSendGate({ places: SENDS_AT_ONCE, slowMs: SLOW_MS, clock });

  /** Attempts that a run before this one has made: it may have ended anywhere. */
  const findMade = async (slice: readonly Waiting[]): Promise<ReadonlySet<string>> => {
    const { table } = data().model.entity(ATTEMPT);
    const values = slice.map(({ attemptId }) => attemptId);
    const where = [
      { column: "id", op: "in", values },
      { column: "status", op: "ne", value: "pending" },
    ] as const;
    const rows = await reader.find(table.name, { where, limit: values.length });
    return new Set(rows.map(({ id }) => id));
  };

  /** Makes one attempt and records it; answers whether that is recorded. `leave` is called once nothing is sent any more. */
  const attempt = async (
    { endpointId, attemptId }: Waiting,
    subject: Subject,
    { eventKey, context }: Round,
    leave: () => void,
  ): Promise<boolean> => {
    const { event, endpoint } = subject;
    const leaveLane = endpoint ? context.enterLane(laneOf(endpointId)) : ignore;
    if (!leaveLane && event && endpoint) {
      leave();
      return context.record((tx) => enqueueDelivery(tx, { event, endpoint }, { attemptId, nowMs: clock.now() }));
    }
    const ended = await send(subject, context).finally(() => {
      leave();
      leaveLane?.();
    });
    if (context.isAborted) return false;
    const { status, delayMs } = planNext(ended.result, 1, options);
    const nowMs = clock.now();
    const nextAt = delayMs === undefined ? null : nowMs + delayMs;
    const delivery = { endpointId, eventKey, attemptId };
    return context.record(async (tx) => {
      const next = await record(tx, { delivery, subject, ended, isFirst: true, tries: 1, status, nextAt });
      if (nextAt === null || next === undefined || !event || !endpoint) return;
      await enqueueDelivery(tx, { event, endpoint }, { attemptId: next, nowMs, dueAt: Math.ceil(nextAt), tries: 1 });
    });
  };

  /** Begins the attempts of a slice as their turns come; answers them under way. */
  const begin = async (slice: readonly Waiting[], round: Round): Promise<Promise<boolean>[]> => {
    const under: Promise<boolean>[] = [];
    const endpointIds = slice.map(({ endpointId }) => endpointId);
    const [subjects, made] = await Promise.all([load(round.eventKey, endpointIds), findMade(slice)]);
    for (const [i, one] of slice.entries()) {
      const subject = subjects[i];
      if (!subject || made.has(one.attemptId)) continue;
      const leave = await round.gate.enter(subject.event?.applicationId ?? "");
      if (round.context.isAborted) {
        leave();
        return under;
      }
      under.push(attempt(one, subject, round, leave));
    }
    return under;
  };

  return {
    kind: ROUND_KIND,
    laneConcurrency: ROUNDS_AT_ONCE,
    async run(job, context): Promise<JobOutcome> {
      const { eventKey, waiting } = roundOf(job);
      const under: Promise<boolean>[] = [];
      for (let at = 0; at < waiting.length && !context.isAborted; at += SLICE) {
        under.push(...(await begin(waiting.slice(at, at + SLICE), { eventKey, context, gate })));
      }
      // All of them, so that none goes on behind the job's back.
      const done = await Promise.allSettled(under);
      const failed = done.find((one) => one.status === "rejected");
      if (failed) throw failed.reason;
      return context.isAborted ? { kind: "retry", delayMs: 0 } : { kind: "done" };
    },
  };
}
