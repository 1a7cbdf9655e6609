// Sends requests whose target a user chose. Every ending is a value: a response, a target that was refused, or a failure
// with a code. One deadline covers lookup, connection, headers and body; bytes are bounded; redirects are not followed. A
// status that has come is the answer, whatever becomes of the body behind it.
import type { Clock } from "../core/clock.ts";
import {
  type BodyBounds,
  type BoundedBody,
  createReceived,
  readBounded,
  readSoFar,
  type Received,
} from "./bounded-body.ts";
import type { Dialer, DialInit } from "./dialer.ts";
import type { Guard } from "./guard.ts";
import type { NetFailureCode } from "./net-errors.ts";
import { failureOf, type NetFailure, netFailure } from "./net-failure.ts";
import { isSendableMethod, planHeaders } from "./outbound-headers.ts";
import { createPinnedDial } from "./pinned-dial.ts";

export interface OutboundRequest {
  readonly method: string;
  readonly url: string;
  /** Reserved ones, such as Host and Content-Length, are left out. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** For everything together. @default the client's */
  readonly timeoutMs?: number;
  /** Bytes of the body that are read. @default the client's */
  readonly maxResponseBytes?: number;
  /** Bytes of the body that are given back. @default `maxResponseBytes` */
  readonly keepBytes?: number;
  readonly signal?: AbortSignal;
  /** The same without an AbortSignal, which costs more than the rest of a call's bookkeeping. */
  readonly cancellation?: Cancellation;
}

/** Tells once that nobody waits for the outcome any more. */
export interface Cancellation {
  readonly isAborted: boolean;
  onAbort(run: () => void): void;
}

export type OutboundOutcome =
  | {
      /** The receiver has answered: its status and headers came, all of its body or not. */
      readonly kind: "response";
      readonly status: number;
      readonly headers: Headers;
      /** As it came: no content encoding is undone. */
      readonly body: Uint8Array;
      /**
       * Whether more of it was to come: the body was longer than `body` or as long as the most that is read, or it was cut
       * off or not over at the deadline. Whoever needs a whole body looks here.
       */
      readonly truncated: boolean;
      readonly durationMs: number;
    }
  | {
      readonly kind: "blocked";
      readonly code: "NET_BLOCKED";
      readonly reason: string;
      /** Whether the URL by itself is at fault, so that trying again is in vain. */
      readonly literal: boolean;
    }
  | {
      /** No answer came, or the caller gave the call up. */
      readonly kind: "failed";
      readonly code: NetFailureCode;
      /** Names neither the URL nor an address. */
      readonly message: string;
      readonly durationMs: number;
    };

export interface OutboundLimits {
  /** @default 15000 */
  readonly timeoutMs?: number;
  /** @default 16384 */
  readonly maxResponseBytes?: number;
}

export interface GuardedClientOptions {
  readonly guard: Guard;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly limits?: OutboundLimits;
}

export interface GuardedClient {
  /** Never rejects. */
  send(request: OutboundRequest): Promise<OutboundOutcome>;
}

/** A compressed answer would be useless in a log and a bomb in memory, so none is asked for. */
const DEFAULT_HEADERS: Readonly<Record<string, string>> = {
  "user-agent": "Pylon",
  accept: "*/*",
  "accept-encoding": "identity",
};

/** One call under way: its bounds, how it is ended early, and what has to be let go of then. */
interface Flight {
  readonly request: OutboundRequest;
  readonly limits: Required<OutboundLimits>;
  readonly clock: Clock;
  readonly startedMs: number;
  readonly controller: AbortController;
  /** Once status and headers have come. */
  answer: Answer | undefined;
}

interface Answer {
  readonly response: Response;
  readonly received: Received;
}

type Dial = ReturnType<typeof createPinnedDial>;

function elapsedMs({ clock, startedMs }: Flight): number {
  return clock.monotonic() - startedMs;
}

function failed(flight: Flight, { code, message }: NetFailure): OutboundOutcome {
  return { kind: "failed", code, message, durationMs: elapsedMs(flight) };
}

function whyUnusable({ status }: Response, { controller }: Flight): NetFailureCode | undefined {
  if (controller.signal.aborted) return "NET_ABORTED";
  return status < 200 || status > 599 ? "NET_PROTOCOL" : undefined;
}

function boundsOf({ limits: { maxResponseBytes: maxBytes }, request }: Flight): BodyBounds {
  return { maxBytes, keepBytes: request.keepBytes ?? maxBytes };
}

function answered(flight: Flight, { status, headers }: Response, { bytes, truncated }: BoundedBody): OutboundOutcome {
  return { kind: "response", status, headers, body: bytes, truncated, durationMs: elapsedMs(flight) };
}

/** How a call ends that came to an end too early: with the answer, when one has come. */
function cutShort(flight: Flight, failure: NetFailure): OutboundOutcome {
  const { answer } = flight;
  if (!answer) return failed(flight, failure);
  return answered(flight, answer.response, readSoFar(answer.received, boundsOf(flight)));
}

async function readResponse(response: Response, flight: Flight): Promise<OutboundOutcome> {
  const unusable = whyUnusable(response, flight);
  if (unusable !== undefined) {
    response.body?.cancel().catch(() => undefined);
    return failed(flight, netFailure(unusable));
  }
  const received = createReceived();
  flight.answer = { response, received };
  return answered(flight, response, await readBounded(response, boundsOf(flight), received));
}

function planCall({ request, controller }: Flight, inFlight: number): DialInit | undefined {
  const headers = planHeaders(request.headers, DEFAULT_HEADERS);
  const method = request.method.toUpperCase();
  if (!headers || !isSendableMethod(method)) return undefined;
  return { method, headers, body: request.body, signal: controller.signal, decompress: false, inFlight };
}

async function fly(flight: Flight, dial: Dial, inFlight: number): Promise<OutboundOutcome> {
  const call = planCall(flight, inFlight);
  if (!call) return failed(flight, netFailure("NET_REQUEST_INVALID"));
  const dialed = await dial(flight.request.url, call);
  if (dialed.kind === "blocked") return { ...dialed, code: "NET_BLOCKED" };
  if (dialed.kind === "failed") return failed(flight, dialed.failure);
  try {
    return await readResponse(dialed.response, flight);
  } catch (error) {
    return cutShort(flight, failureOf(error));
  }
}

/** Settles with what `work` gives, or as soon as the deadline passes or the caller aborts; then everything held is let go. */
function withDeadline(flight: Flight, work: () => Promise<OutboundOutcome>): Promise<OutboundOutcome> {
  const { signal, cancellation } = flight.request;
  return new Promise((resolve) => {
    let isSettled = false;
    const settle = (outcome: OutboundOutcome): void => {
      isSettled = true;
      cancelTimer();
      signal?.removeEventListener("abort", onAbort);
      resolve(outcome);
    };
    const abandon = (outcome: OutboundOutcome): void => {
      settle(outcome);
      flight.controller.abort();
      flight.answer?.received.reader?.cancel().catch(() => undefined);
    };
    const onAbort = (): void => {
      if (!isSettled) abandon(failed(flight, netFailure("NET_ABORTED")));
    };
    const onDeadline = (): void => abandon(cutShort(flight, netFailure("NET_TIMEOUT")));
    const cancelTimer = flight.clock.setTimer(flight.limits.timeoutMs, onDeadline);
    if (signal?.aborted === true || cancellation?.isAborted === true) return onAbort();
    cancellation?.onAbort(onAbort);
    signal?.addEventListener("abort", onAbort, { once: true });
    void work().then(settle);
  });
}

/** Creates the client. It holds the lookups of a few seconds and nothing about a request that has ended. */
export function createGuardedClient(options: GuardedClientOptions): GuardedClient {
  const { clock } = options;
  const defaults = { timeoutMs: 15_000, maxResponseBytes: 16_384, ...options.limits };
  const dial = createPinnedDial(options);
  let inFlight = 0;

  const begin = (request: OutboundRequest): Flight => {
    const limits = {
      timeoutMs: request.timeoutMs ?? defaults.timeoutMs,
      maxResponseBytes: request.maxResponseBytes ?? defaults.maxResponseBytes,
    };
    return {
      request,
      limits,
      clock,
      startedMs: clock.monotonic(),
      controller: new AbortController(),
      answer: undefined,
    };
  };

  return {
    async send(request) {
      const flight = begin(request);
      inFlight++;
      try {
        return await withDeadline(flight, () => fly(flight, dial, inFlight));
      } finally {
        inFlight--;
      }
    },
  };
}
