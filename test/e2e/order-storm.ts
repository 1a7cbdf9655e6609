// Writers of orders that remember what they were told, and what must hold of rows and deliveries afterwards: every
// acknowledged write is there and was delivered, one that was taken back never is, each row's deliveries come in commit order.

import { expect } from "bun:test";

import type { Arrival, HookReceiver } from "./hook-receiver.ts";
import type { RunningPylon } from "./running-pylon.ts";

const REFUSED = "refused";

export interface Row {
  readonly id: string;
  readonly tag: string;
  readonly step: number;
}

/** What the writers were told. */
interface Ledger {
  /** The highest acknowledged step of each row that was acknowledged. */
  readonly steps: Map<string, number>;
  /** Rows whose deletion was acknowledged, or may have happened. */
  readonly deleted: Set<string>;
  readonly acknowledgedDeletions: Set<string>;
  acknowledged: number;
  refused: number;
  unknown: number;
  /** Answered 503: to be tried again. */
  deferred: number;
  /** Answers that no client should get: none in time, or a failure that does not say when to come back. */
  readonly odd: string[];
}

export function createLedger(): Ledger {
  return {
    steps: new Map(),
    deleted: new Set(),
    acknowledgedDeletions: new Set(),
    acknowledged: 0,
    refused: 0,
    unknown: 0,
    deferred: 0,
    odd: [],
  };
}

/** Writers, and the processes that they write to while these come and go. */
export interface Storm {
  readonly ledger: Ledger;
  readonly dice: () => number;
  /** A process that should answer; undefined while there is none. */
  readonly pick: () => RunningPylon | undefined;
  /**
   * Whether a change whose answer was lost may still happen, after a later one: another process can have taken that. The
   * writer then leaves the row alone.
   */
  readonly hasStragglers: boolean;
  isOver: boolean;
}

const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));

/** Notes an answer that no client should get. */
function judge({ ledger }: Storm, target: string, response: Response): void {
  if (response.status === 503) ledger.deferred += 1;
  const saysWhen = response.status === 503 && Number(response.headers.get("retry-after")) > 0;
  if (response.status >= 500 && !saysWhen) ledger.odd.push(`${target}: ${response.status}`);
}

async function send(storm: Storm, target: string, json?: unknown): Promise<{ status: number; id: string } | undefined> {
  try {
    const response = await storm.pick()?.ask(target, json);
    if (!response) return undefined;
    judge(storm, target, response);
    const { id = "" } = (await response.json()) as { id?: string };
    return { status: response.status, id };
  } catch (error) {
    // Killed before it answered: the write may have happened.
    storm.ledger.unknown += 1;
    if (error instanceof Error && error.name === "TimeoutError") storm.ledger.odd.push(`${target}: no answer`);
    return undefined;
  }
}

function acknowledge({ ledger }: Storm, id: string, step: number): void {
  ledger.acknowledged += 1;
  ledger.steps.set(id, Math.max(step, ledger.steps.get(id) ?? 0));
}

/** One writer: new rows, steps of its own last row, rows that are taken back, and deletions. */
export async function writeOrders(storm: Storm, writer: number): Promise<void> {
  const { ledger, dice } = storm;
  let mine: { id: string; step: number } | undefined;
  for (let count = 0; !storm.isOver; count++) {
    if (!storm.pick()) {
      await idle();
      continue;
    }
    const choice = dice();
    const tag = `w${writer}-${count}`;
    if (choice < 0.4 || !mine) {
      const answer = await send(storm, "POST /api/entities/Order", { tag, step: 0 });
      if (answer?.status !== 201) continue;
      mine = { id: answer.id, step: 0 };
      acknowledge(storm, answer.id, 0);
    } else if (choice < 0.75) {
      mine.step += 1;
      const { id, step } = mine;
      const answer = await send(storm, `PATCH /api/entities/Order/${id}`, { step });
      if (answer?.status === 200) acknowledge(storm, id, step);
      else if (storm.hasStragglers) mine = undefined;
    } else if (choice < 0.85) {
      const answer = await send(storm, "POST /api/fn/refuseOrder", { tag: `${REFUSED}-${tag}` });
      if (answer?.status === 400) ledger.refused += 1;
    } else if (choice < 0.95) {
      const answer = await send(storm, "POST /api/fn/placeOrder", { tag });
      if (answer?.status === 200) acknowledge(storm, answer.id, 1);
    } else {
      const { id } = mine;
      mine = undefined;
      ledger.deleted.add(id);
      const answer = await send(storm, `DELETE /api/entities/Order/${id}`);
      if (answer?.status === 200) ledger.acknowledgedDeletions.add(id);
    }
  }
}

export async function readRows(pylon: RunningPylon): Promise<Map<string, Row>> {
  const rows = new Map<string, Row>();
  for (let cursor: string | null = ""; cursor !== null;) {
    const response = await pylon.ask(`GET /api/entities/Order?limit=200&cursor=${cursor}`);
    const page = (await response.json()) as { data: Row[]; next_cursor: string | null };
    for (const row of page.data) rows.set(row.id, row);
    cursor = page.next_cursor;
  }
  return rows;
}

/** Of each row, its deliveries in the order in which they were first accepted. */
function firstAccepted(accepted: readonly Arrival[]): Map<string, Arrival[]> {
  const seen = new Set<string>();
  const byRow = new Map<string, Arrival[]>();
  for (const arrival of accepted) {
    if (seen.has(arrival.deliveryId)) continue;
    seen.add(arrival.deliveryId);
    byRow.set(arrival.rowId, [...(byRow.get(arrival.rowId) ?? []), arrival]);
  }
  return byRow;
}

/** An insert, steps that only grow, and at most one deletion at the end. */
function isInCommitOrder(arrivals: readonly Arrival[]): boolean {
  return arrivals.every(({ event, data: { step } }, index) => {
    const before = arrivals[index - 1];
    if (!before) return event === "insert";
    if (event === "delete") return index === arrivals.length - 1 && step === before.data.step;
    return event === "update" && before.event !== "delete" && step > before.data.step;
  });
}

export function checkRows(ledger: Ledger, rows: ReadonlyMap<string, Row>): void {
  const { steps, deleted, acknowledgedDeletions } = ledger;
  const lost = [...steps].filter(([id, step]) => {
    const row = rows.get(id);
    return row ? row.step < step : !deleted.has(id);
  });
  expect(lost).toEqual([]);
  expect([...acknowledgedDeletions].filter((id) => rows.has(id))).toEqual([]);
  expect([...rows.values()].filter(({ tag }) => tag.startsWith(REFUSED))).toEqual([]);
}

/** Answers how many deliveries were accepted more than once. */
export function checkDeliveries(ledger: Ledger, rows: ReadonlyMap<string, Row>, receiver: HookReceiver): number {
  const accepted = receiver.arrivals.filter(({ status }) => status === 200);
  const byRow = firstAccepted(accepted);
  expect(receiver.arrivals.filter(({ isSigned }) => !isSigned)).toEqual([]);
  expect(receiver.arrivals.filter(({ data }) => data.tag.startsWith(REFUSED))).toEqual([]);
  // A row that is there had its insert delivered, and every change up to what it is now.
  const undelivered = [...rows.values()].filter(({ id, step }) => byRow.get(id)?.at(-1)?.data.step !== step);
  expect(undelivered).toEqual([]);
  const { steps, acknowledgedDeletions } = ledger;
  const missing = [...steps].filter(([id, step]) => (byRow.get(id) ?? []).every(({ data }) => data.step < step));
  expect(missing).toEqual([]);
  expect([...acknowledgedDeletions].filter((id) => byRow.get(id)?.at(-1)?.event !== "delete")).toEqual([]);
  expect([...byRow.values()].filter((arrivals) => !isInCommitOrder(arrivals))).toEqual([]);
  // What was delivered was committed: a row that is there, or was deleted.
  const invented = [...byRow].filter(([id, arrivals]) => !rows.has(id) && arrivals.at(-1)?.event !== "delete");
  expect(invented).toEqual([]);
  // The same delivery is the same bytes, however often it comes.
  const bodies = new Map<string, string>();
  for (const { deliveryId, body } of receiver.arrivals) {
    expect(bodies.get(deliveryId) ?? body).toBe(body);
    bodies.set(deliveryId, body);
  }
  return accepted.length - bodies.size;
}
