// `dispatch`: an event becomes part of the calling function's transaction. In a mutation it exists only if that commits; in
// an action it commits by itself.

import type { Clock } from "../../core/clock.ts";
import type { UlidSource } from "../../core/ids.ts";
import { callOf, type CurrentCall } from "../../functions/current-call.ts";
import type { EventCatalogue } from "./event-catalogue.ts";
import type { FanOut } from "./fan-out.ts";
import { customerWebhookError } from "./webhook-errors.ts";
import { type EventInput, planEvent, type WebhookEvent } from "./webhook-event.ts";
import { type CustomerWebhooksConfig, isSameConfig } from "./webhooks-config.ts";

/** What became of an event. */
export interface Dispatched {
  readonly eventId: string;
  /**
   * Deliveries that were scheduled; 0 for an id that the application has dispatched before. When there are more than 100
   * endpoints to look at, the active ones: those that want the event follow in the background.
   */
  readonly scheduled: number;
}

/** Dispatches within one instance. Its export by this name is found by {@link dispatch}. */
export type DispatchWithin = (call: CurrentCall, config: unknown, input: unknown) => Promise<Dispatched>;

export interface DispatcherOptions {
  readonly config: CustomerWebhooksConfig;
  readonly catalogue: EventCatalogue;
  readonly fanOut: FanOut;
  readonly clock: Clock;
  readonly ulid: UlidSource;
}

/** Reads an event that somebody wants to dispatch. @throws EVENT_INVALID, EVENT_TYPE_UNKNOWN, NO_APPLICATION */
export type ReadEvent = (input: unknown, tenantId: string | null, target?: string) => WebhookEvent;

export function createEventReader({ catalogue, clock, ulid }: Omit<DispatcherOptions, "fanOut" | "config">): ReadEvent {
  return (input, tenantId, target) => {
    const nowMs = clock.now();
    const newId = (): string => `evt_${ulid(nowMs)}`;
    return planEvent(input, { catalogue, tenantId, nowMs, newId, ...(target === undefined ? {} : { target }) });
  };
}

export function createDispatch(
  readEvent: ReadEvent,
  { config, fanOut }: Pick<DispatcherOptions, "config" | "fanOut">,
): DispatchWithin {
  const own = JSON.stringify(config);
  return async (call, given, input) => {
    // The retry schedule of another one would not be the one that counts.
    if (JSON.stringify(given) !== own && !isSameConfig(given, config))
      throw customerWebhookError("WEBHOOKS_CONFIG_FOREIGN");
    const event = readEvent(input, call.actor.tenantId);
    const scheduled = await call.write((writer) => fanOut.write(writer.tx, event));
    return { eventId: event.eventId, scheduled: scheduled ?? 0 };
  };
}

/**
 * Sends an event to every endpoint of an application that wants it.
 *
 * @param ctx the context of the mutation or action that calls.
 * @param config of the application's `webhooks()`, or settings that say the same.
 * @throws NO_APPLICATION, EVENT_INVALID, EVENT_TYPE_UNKNOWN, EVENT_TOO_LARGE; FN_READ_ONLY in a query; WEBHOOKS_OFF, WEBHOOKS_CONFIG_FOREIGN.
 */
export async function dispatch(ctx: object, config: CustomerWebhooksConfig, event: EventInput): Promise<Dispatched> {
  const call = callOf(ctx);
  if (!call) throw customerWebhookError("DISPATCH_OUTSIDE");
  const within = call.sdk["dispatch"] as DispatchWithin | undefined;
  if (!within) throw customerWebhookError("WEBHOOKS_OFF");
  return within(call, config, event);
}
