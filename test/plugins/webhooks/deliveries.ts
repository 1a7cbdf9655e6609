// What the webhooks tests say often: hooks as a manifest has them, and deliveries as the administrator sees them.

import assert from "node:assert/strict";
import type { AppOptions, Sent, TestApp } from "../app-harness.ts";

export const HOOK_URL = "https://hooks.example.com/order-changed";

export interface HookInput {
  readonly name?: string;
  readonly entity?: string;
  readonly events?: readonly string[];
  readonly url?: string;
  readonly secret_env?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly retry?: { readonly max_attempts?: number; readonly backoff_secs?: number };
}

/** The manifest's entry; a hook is on inserts of `Order` unless it says otherwise. */
export function webhooks(...hooks: readonly HookInput[]): NonNullable<AppOptions["plugins"]>[number] {
  const filled = hooks.map((hook) => ({ entity: "Order", events: ["insert"], url: HOOK_URL, ...hook }));
  return { name: "webhooks", config: { hooks: filled } };
}

/** A delivery as the API shows it. */
export interface Delivery {
  readonly deliveryId: string;
  readonly hook: string;
  readonly url: string;
  readonly entity: string;
  readonly rowId: string;
  readonly event: string;
  readonly status: string;
  readonly attempts: number;
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly nextAttemptAt: string | null;
  readonly createdAt: string;
}

export interface DeliveryPage {
  readonly data: readonly Delivery[];
  readonly next_cursor: string | null;
}

export async function listDeliveries(app: TestApp, query = ""): Promise<DeliveryPage> {
  const answer = await app.ask(`GET /api/admin/deliveries${query}`, { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  return answer.json as unknown as DeliveryPage;
}

/** The only delivery there is. */
export async function theDelivery(app: TestApp): Promise<Delivery> {
  const { data } = await listDeliveries(app);
  assert.equal(data.length, 1, JSON.stringify(data));
  return data[0] as Delivery;
}

export interface DeliveryBody {
  readonly event: string;
  readonly entity: string;
  readonly row_id: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly timestamp: string;
  readonly delivery_id: string;
}

export function bodyOf(sent: Sent | undefined): DeliveryBody {
  assert.ok(sent, "Nothing was sent");
  return JSON.parse(sent.body) as DeliveryBody;
}

/** Rows of the dead-letter entity. */
export async function deadLetters(app: TestApp): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const answer = await app.ask("GET /api/entities/WebhookDelivery", { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  return answer.json["data"] as readonly Readonly<Record<string, unknown>>[];
}

export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}) =>
  (): Response =>
    new Response(null, { status: code, headers });
