// What the tests of webhooks to customers say often: an application that declares them, customers with sessions, endpoints
// with their secrets, and what arrived.

import assert from "node:assert/strict";
import { webhooksDeclaring } from "../../../src/plugins.ts";
import type {
  CustomerWebhooksConfig,
  WebhooksOptions,
} from "../../../src/plugins/customer-webhooks/webhooks-config.ts";
import { action, mutation } from "../../../src/functions/define.ts";
import type { FunctionDefinition } from "../../../src/functions/define.ts";
import { v } from "../../../src/functions/validators.ts";
import { dispatch, type Dispatched } from "../../../src/plugins/customer-webhooks/dispatch.ts";
import { verifyWebhook } from "../../../src/sdk/webhooks.ts";
import { type Answer, type AppOptions, CUSTOMER, ORDER, type Sent, type TestApp } from "../app-harness.ts";

export const URL_A = "https://a.example.com/hooks";
export const TENANT = "org_a";

export interface Declared {
  readonly options: AppOptions;
  /** For `dispatch`. */
  readonly config: CustomerWebhooksConfig;
  /** Dispatches from an action, as a member of `tenantId`. */
  dispatch(app: TestApp, event: object, tenantId?: string | null): Promise<Dispatched>;
}

/** An application that declares webhooks, with the functions `send` (an action) and `place` (a mutation that may fail). */
export function customers(options: WebhooksOptions = {}, more: AppOptions = {}): Declared {
  const plugins: { name: string; config: unknown }[] = [];
  const hooks = webhooksDeclaring((name, config) => plugins.push({ name, config }))(options);
  const send = action({
    args: { event: v.any() },
    handler: (ctx, { event }) => dispatch(ctx, hooks.config, event),
  });
  const place = mutation({
    args: { events: v.array(v.any()), fails: v.boolean() },
    async handler(ctx, { events, fails }) {
      const id = await ctx.db.insert("Order", { total: 1 });
      const sent: Dispatched[] = [];
      for (const event of events) sent.push(await dispatch(ctx, hooks.config, event));
      if (fails) throw ctx.error("NO_STOCK", "There is none left");
      return { id, sent };
    },
  });
  const functions: Record<string, FunctionDefinition> = { send, place, ...more.functions };
  const { manifest } = hooks;
  return {
    config: hooks.config,
    options: {
      ...more,
      plugins: [...plugins, ...(more.plugins ?? [])],
      entities: more.entities ?? [ORDER, CUSTOMER, ...manifest.entities],
      policies: more.policies ?? manifest.policies,
      functions,
    },
    dispatch: async (app, event, tenantId = TENANT) =>
      (await app.pylon.call("send", { event }, memberOf(tenantId))) as unknown as Dispatched,
  };
}

export function memberOf(tenantId: string | null): Parameters<TestApp["pylon"]["call"]>[2] & object {
  return { kind: "user", userId: "usr_1", email: null, roles: [], tenantId, isAdmin: false };
}

/** A session token of a member of a tenant. */
export async function tokenOf(app: TestApp, tenantId: string = TENANT): Promise<string> {
  const json = { user_id: `usr_${tenantId}`, tenant_id: tenantId };
  const answer = await app.ask("POST /api/auth/session", { token: "admin", json });
  assert.equal(answer.status, 201, answer.text);
  return String(answer.json["token"]);
}

export interface TestEndpoint {
  readonly id: string;
  readonly secret: string;
  readonly row: Readonly<Record<string, unknown>>;
}

export async function createEndpoint(app: TestApp, fields: object = {}): Promise<TestEndpoint> {
  const json = { applicationId: TENANT, url: URL_A, ...fields };
  const answer = await app.ask("POST /api/entities/WebhookEndpoint", { token: "admin", json });
  assert.equal(answer.status, 201, answer.text);
  return { id: String(answer.json["id"]), secret: String(answer.json["secret"]), row: answer.json };
}

export interface AttemptRow {
  readonly id: string;
  readonly applicationId: string;
  readonly endpointId: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly url: string;
  readonly attempt: number;
  readonly status: string;
  readonly httpStatus: number | null;
  readonly error: string | null;
  readonly durationMs: number | null;
  readonly responseBody: string | null;
  readonly scheduledAt: string;
  readonly deliveredAt: string | null;
  readonly nextAttemptAt: string | null;
}

/** Rows of the attempts' entity, oldest first. */
export async function attemptsOf(app: TestApp, query = ""): Promise<readonly AttemptRow[]> {
  const answer = await app.ask(`GET /api/entities/WebhookAttempt?limit=200${query}`, { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  return answer.json["data"] as readonly AttemptRow[];
}

/** `1 failed 500 HTTP 500` for each attempt. */
export async function attemptLog(app: TestApp, query = ""): Promise<readonly string[]> {
  const rows = await attemptsOf(app, query);
  return rows.map(({ attempt, status, httpStatus, error }) => `${attempt} ${status} ${httpStatus} ${error}`);
}

export async function endpointRow(app: TestApp, id: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = await app.ask(`GET /api/entities/WebhookEndpoint/${id}`, { token: "admin" });
  assert.equal(answer.status, 200, answer.text);
  return answer.json;
}

/** What `verifyWebhook` says of something sent, at the time that it was sent. */
export function verify(sent: Sent | undefined, secret: string | readonly string[]): Promise<unknown> {
  assert.ok(sent, "Nothing was sent");
  return verifyWebhook(secret, sent.headers, sent.body, { nowSecs: Math.floor(sent.at / 1_000) });
}

export function bodyOf(sent: Sent | undefined): Readonly<Record<string, unknown>> {
  assert.ok(sent, "Nothing was sent");
  return JSON.parse(sent.body) as Readonly<Record<string, unknown>>;
}

/** Asserts an error's status and code. */
export function refused(answer: Answer, status: number, code: string): void {
  assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
}
