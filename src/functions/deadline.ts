// The end of a call's time: one abort signal that fires when the time is over or when the caller's own signal does, and
// whose reason is the error to answer with.

import type { Clock } from "../core/clock.ts";
import { functionError } from "./function-errors.ts";

export interface Deadline {
  /** Its reason is FN_TIMEOUT or FN_ABORTED, or the reason of an outer deadline. */
  readonly signal: AbortSignal;
  /** Settles as `work` does, or rejects with the reason when the time is over first. Late failures are swallowed. */
  race<T>(work: Promise<T>): Promise<T>;
  /** Stops the timer. */
  clear(): void;
}

function reasonOf(outer: AbortSignal, isDeadline: boolean): unknown {
  return isDeadline ? outer.reason : functionError("FN_ABORTED");
}

export interface DeadlineOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** The deadline of the call around this one. */
  readonly outer?: AbortSignal | undefined;
  /** Aborted when the process stops, or a job's lease is lost. */
  readonly stop?: AbortSignal | undefined;
}

/** Starts a deadline; `clear` must be called. */
export function startDeadline(options: DeadlineOptions): Deadline {
  const controller = new AbortController();
  const { signal } = controller;
  const cancelTimer = options.clock.setTimer(options.timeoutMs, () => controller.abort(functionError("FN_TIMEOUT")));
  const detach = [follow(controller, options.outer, true), follow(controller, options.stop, false)];
  return {
    signal,
    race: (work) => raceAbort(signal, work),
    clear() {
      cancelTimer();
      for (const stop of detach) stop();
    },
  };
}

function follow(controller: AbortController, source: AbortSignal | undefined, isDeadline: boolean): () => void {
  if (!source) return () => {};
  const abort = (): void => controller.abort(reasonOf(source, isDeadline));
  if (source.aborted) abort();
  source.addEventListener("abort", abort, { once: true });
  return () => source.removeEventListener("abort", abort);
}

function raceAbort<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    const detach = (): void => signal.removeEventListener("abort", onAbort);
    work.then(
      (value) => {
        detach();
        resolve(value);
      },
      (error: unknown) => {
        detach();
        reject(error);
      },
    );
  });
}
