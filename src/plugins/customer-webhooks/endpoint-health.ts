// How long an endpoint has done nothing but fail, and the end of it: one that is gone, or has failed for five days, is
// disabled, and the application's other endpoints are told.

import type { Clock } from "../../core/clock.ts";
import type { Data } from "../../data/data.ts";
import type { Tx } from "../../store/store.ts";
import { INTERNAL } from "./delivery.ts";
import type { Endpoint } from "./endpoint-input.ts";
import type { EventCatalogue } from "./event-catalogue.ts";
import { ENDPOINT_DISABLED_TYPE } from "./event-type.ts";
import type { FanOut } from "./fan-out.ts";
import { ENDPOINT } from "./webhook-entities.ts";
import { planEvent } from "./webhook-event.ts";
import { HEALTH } from "./webhook-tables.ts";

/** Contract: 120 h of nothing but failures. */
const MAX_FAILING_MS = 120 * 3_600_000;
/** For how long a success speaks for those behind it: another process may have seen a failure since. */
const CLEAN_MS = 60_000;
const MAX_REMEMBERED = 50_000;

export type DisableReason = "gone" | "failing";

export interface EndpointHealth {
  /** Notes a success: what failed before does not count any more. Answers at once when that is known to be so. */
  succeeded(tx: Tx, endpointId: string): Promise<void>;
  /** Notes a failure, and disables the endpoint when it is `gone` or has failed for too long. */
  failed(tx: Tx, endpoint: Endpoint, gone: boolean): Promise<void>;
}

export interface EndpointHealthOptions {
  readonly data: () => Data;
  readonly clock: Clock;
  readonly catalogue: EventCatalogue;
  readonly fanOut: FanOut;
}

export function createEndpointHealth({ data, clock, catalogue, fanOut }: EndpointHealthOptions): EndpointHealth {
  /** When endpoints were last known to have a clean record. */
  const cleanAt = new Map<string, number>();
  const remember = (endpointId: string): void => {
    if (cleanAt.size >= MAX_REMEMBERED) cleanAt.clear();
    cleanAt.set(endpointId, clock.monotonic());
  };

  /** Since when it fails. Two replicas that see the first failure at once agree on one of them. */
  const failingSince = async (tx: Tx, endpointId: string): Promise<number> => {
    const nowMs = clock.now();
    const known = await tx.get(HEALTH, endpointId);
    if (known) return known.failingSince as number;
    const outcome = await tx.insert(HEALTH, { id: endpointId, failingSince: nowMs });
    if (outcome.kind === "inserted") return nowMs;
    return ((await tx.get(HEALTH, endpointId))?.failingSince as number | undefined) ?? nowMs;
  };

  const disable = async (tx: Tx, endpoint: Endpoint, why: { reason: DisableReason; since: number }): Promise<void> => {
    const row = await tx.get(data().model.entity(ENDPOINT).table.name, endpoint.id);
    if (!row || row.disabled === true) return;
    await data().within(INTERNAL, tx).update(ENDPOINT, endpoint.id, { disabled: true });
    const nowMs = clock.now();
    const details = {
      endpointId: endpoint.id,
      url: endpoint.url,
      reason: why.reason,
      failingSince: new Date(why.since).toISOString(),
      disabledAt: new Date(nowMs).toISOString(),
    };
    // One event for one stretch of failures, whoever notices its end.
    const id = `evt_disabled_${endpoint.id}_${why.since}`;
    const { applicationId } = endpoint;
    const input = { type: ENDPOINT_DISABLED_TYPE, id, applicationId, data: details };
    const event = planEvent(input, { catalogue, tenantId: null, nowMs, newId: () => id });
    await fanOut.write(tx, event, { later: true });
  };

  return {
    async succeeded(tx, endpointId) {
      if (clock.monotonic() - (cleanAt.get(endpointId) ?? -Infinity) < CLEAN_MS) return;
      await tx.delete(HEALTH, endpointId);
      remember(endpointId);
    },
    async failed(tx, endpoint, gone) {
      cleanAt.delete(endpoint.id);
      const since = await failingSince(tx, endpoint.id);
      if (gone) await disable(tx, endpoint, { reason: "gone", since });
      else if (clock.now() - since >= MAX_FAILING_MS) await disable(tx, endpoint, { reason: "failing", since });
    },
  };
}
