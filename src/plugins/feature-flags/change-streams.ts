// Server-sent events that say "evaluate again" and nothing else (OFREP, ADR 8): no value, no name, no rule goes through.
// They are sent when the flags change and, at a bounded rate, while a schedule changes their answers. Opened with a token
// that anyone who may evaluate has got, because an EventSource can send no header.

import type { Clock } from "../../core/clock.ts";
import { decodeHex } from "../../crypto/hex.ts";
import type { HmacSigner } from "../../crypto/hmac.ts";
import { type AnnouncedFlags, type Announcement, announcementAt } from "./announcement.ts";
import { flagError } from "./flag-errors.ts";
import { createScheduleWatch } from "./schedule-watch.ts";

/** Below the shortest idle timeout that is common among proxies. */
const HEARTBEAT_MS = 25_000;
const MAX_STREAMS = 10_000;
/** Chunks that wait for a reader who does not read. */
const MAX_WAITING = 16;
const RETRY_AFTER_SECS = 5;
const MIN_RECONNECT_MS = 1_000;
const SPREAD_RECONNECT_MS = 4_000;

/** How long a token is handed out; it is good for as long again. */
export const TOKEN_WINDOW_MS = 600_000;

export interface ChangeStreams {
  /**
   * A stream of events. A reader who says which version it has seen is told at once when there is another.
   *
   * @throws STREAMS_EXHAUSTED
   */
  open(seen: string | null, flags: AnnouncedFlags): ReadableStream<Uint8Array>;
  /** The flags are others from now on. */
  announce(flags: AnnouncedFlags): void;
  readonly count: number;
  /** Ends all streams; later ones end at once. */
  close(): void;
}

type Controller = ReadableStreamDefaultController<Uint8Array>;

const encoder = new TextEncoder();
const HEARTBEAT = encoder.encode(": still here\n\n");

function renderEvent({ version, since }: Announcement): Uint8Array {
  const data = { type: "refetchEvaluation", etag: version, lastModified: Math.floor(since / 1_000) };
  return encoder.encode(`id: ${version}\nevent: message\ndata: ${JSON.stringify(data)}\n\n`);
}

/** `random` spreads the reconnections of many readers after a restart. */
export function createChangeStreams(clock: Clock, random: () => number): ChangeStreams {
  const open = new Set<Controller>();
  let cancelHeartbeat: (() => void) | undefined;
  let isClosed = false;
  const forget = (controller: Controller): void => {
    open.delete(controller);
    if (open.size === 0) watch.stop();
  };
  const drop = (controller: Controller): void => {
    forget(controller);
    try {
      controller.close();
    } catch {
      // Its reader has gone already.
    }
  };
  const send = (controller: Controller, chunk: Uint8Array): void => {
    if ((controller.desiredSize ?? -MAX_WAITING) <= -MAX_WAITING) drop(controller);
    else controller.enqueue(chunk);
  };
  const sendAll = (chunk: Uint8Array): void => {
    for (const controller of open) send(controller, chunk);
  };
  const watch = createScheduleWatch(clock, (news) => sendAll(renderEvent(news)));
  const beat = (): void => {
    sendAll(HEARTBEAT);
    watch.look();
    cancelHeartbeat = open.size > 0 ? clock.setTimer(HEARTBEAT_MS, beat) : undefined;
  };
  return {
    get count() {
      return open.size;
    },
    open(seen, flags) {
      if (open.size >= MAX_STREAMS) throw flagError("STREAMS_EXHAUSTED", { retryAfterSecs: RETRY_AFTER_SECS });
      let own: Controller | undefined;
      return new ReadableStream<Uint8Array>({
        start(controller) {
          if (isClosed) return controller.close();
          own = controller;
          // Those who listen already may have something to hear.
          if (open.size === 0) watch.start(flags);
          open.add(controller);
          const current = announcementAt(flags, clock.now());
          const reconnectMs = MIN_RECONNECT_MS + Math.floor(random() * SPREAD_RECONNECT_MS);
          controller.enqueue(encoder.encode(`retry: ${reconnectMs}\n: connected\n\n`));
          if (seen !== null && seen !== current.version) controller.enqueue(renderEvent(current));
          cancelHeartbeat ??= clock.setTimer(HEARTBEAT_MS, beat);
        },
        cancel() {
          if (own) forget(own);
        },
      });
    },
    announce(flags) {
      if (open.size > 0) watch.start(flags);
      sendAll(renderEvent(announcementAt(flags, clock.now())));
    },
    close() {
      isClosed = true;
      cancelHeartbeat?.();
      for (const controller of open) drop(controller);
    },
  };
}

export interface StreamTokens {
  /** The same for everybody within a window, so that a browser which evaluates again keeps its stream. */
  current(): Promise<string>;
  isValid(token: string): Promise<boolean>;
}

const TOKEN = /^(\d{1,12})\.([0-9a-f]{64})$/;

/** Tokens that every replica with the same secret takes, and that expire by themselves. */
export function createStreamTokens(signer: HmacSigner, clock: Clock): StreamTokens {
  const windowNow = (): number => Math.floor(clock.now() / TOKEN_WINDOW_MS);
  const messageOf = (window: number): string => `flags stream ${window}`;
  let cached: { readonly window: number; readonly token: Promise<string> } | undefined;
  return {
    current() {
      const window = windowNow();
      if (cached?.window !== window) {
        const token = signer.signHex(messageOf(window)).then((code) => `${window}.${code}`);
        cached = { window, token };
      }
      return cached.token;
    },
    async isValid(token) {
      const [, digits = "", code = ""] = TOKEN.exec(token) ?? [];
      const window = Number(digits);
      // A clock of another replica may be a little ahead.
      if (digits === "" || Math.abs(windowNow() - window) > 1) return false;
      const signature = decodeHex(code);
      return signature !== undefined && signer.verify(messageOf(window), signature);
    },
  };
}
