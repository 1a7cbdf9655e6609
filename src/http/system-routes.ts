// What operators ask of a process: is it alive, may it be sent requests, what has it done, and what does it serve.

import type { Clock } from "../core/clock.ts";
import { isPylonError } from "../core/errors.ts";
import type { Model } from "../data/model.ts";
import type { Functions } from "../functions/functions.ts";
import { type Access, defineRoute, type Route } from "../plugin/route.ts";
import type { Store } from "../store/store.ts";
import type { Metrics } from "./metrics.ts";
import { type ApiParts, createApiDocument } from "./openapi.ts";
import { objectOf, TEXT, TEXTS } from "./openapi-schema.ts";

/** A probe that has not answered by then counts as failed. */
export const PROBE_TIMEOUT_MS = 2_000;

/** Resolves when its part of the process is ready and rejects when it is not. */
export type Probe = () => Promise<void>;

export interface SystemRoutesOptions {
  /** The application's. */
  readonly name: string;
  /** This program's. */
  readonly version: string;
  /** The application's, for the OpenAPI document. @default this program's */
  readonly appVersion?: string;
  /** Where the instance is reached from outside. @default null: the OpenAPI document does not say */
  readonly publicUrl?: string | null;
  readonly clock: Clock;
  /** Asked for readiness. */
  readonly store: Pick<Store, "ping">;
  /** Asked for readiness as well, by the name that a reason starts with. */
  readonly probes?: Readonly<Record<string, Probe>>;
  readonly metrics: Metrics;
  /** @default "anyone" */
  readonly metricsAccess?: Access;
  /** What else is served. */
  readonly routes: readonly Route[];
  readonly model: Pick<Model, "entities">;
  readonly functions: Pick<Functions, "list">;
  /** What is sent to others. @default nothing */
  readonly webhooks?: ApiParts["webhooks"];
}

const TAG = "system";
const NO_STORE: Readonly<Record<string, string>> = { "cache-control": "no-store" };
const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** The code and no text: this is answered to anyone, and a driver's text may name hosts, files and users. */
function reasonOf(error: unknown): string {
  return isPylonError(error) ? error.code : "INTERNAL";
}

/** Why `probe` is not ready; null when it is. Never rejects. */
function runProbe(name: string, probe: Probe, clock: Clock): Promise<string | null> {
  return new Promise((resolve) => {
    const cancel = clock.setTimer(PROBE_TIMEOUT_MS, () => resolve(`${name}: no answer in ${PROBE_TIMEOUT_MS} ms`));
    const settle = (reason: string | null): void => {
      cancel();
      resolve(reason);
    };
    const running = async (): Promise<void> => probe();
    running().then(
      () => settle(null),
      (error: unknown) => settle(`${name}: ${reasonOf(error)}`),
    );
  });
}

/** Answers the reasons against being ready. Callers at the same time share one round, so they cannot flood the store. */
function createReadiness(probes: Readonly<Record<string, Probe>>, clock: Clock): () => Promise<readonly string[]> {
  let round: Promise<readonly string[]> | null = null;
  const ask = async (): Promise<readonly string[]> => {
    const reasons = await Promise.all(Object.entries(probes).map(([name, probe]) => runProbe(name, probe, clock)));
    round = null;
    return reasons.filter((reason) => reason !== null);
  };
  return () => (round ??= ask());
}

function healthRoute({ version, clock }: SystemRoutesOptions): Route {
  const startedMs = clock.monotonic();
  const schema = objectOf({ status: { const: "ok" }, version: TEXT, uptime_secs: { type: "integer" } });
  return defineRoute({
    method: "GET",
    path: "/health",
    access: "anyone",
    foreignAuthorization: true,
    tag: TAG,
    summary: "Whether the process is alive",
    answers: { 200: { description: "It is", schema } },
    handle: () => {
      const uptime = Math.floor((clock.monotonic() - startedMs) / 1_000);
      return Promise.resolve({ status: 200, json: { status: "ok", version, uptime_secs: uptime }, headers: NO_STORE });
    },
  });
}

function readinessRoute({ store, probes, clock }: SystemRoutesOptions): Route {
  const check = createReadiness({ store: () => store.ping(), ...probes }, clock);
  return defineRoute({
    method: "GET",
    path: "/readyz",
    access: "anyone",
    foreignAuthorization: true,
    tag: TAG,
    summary: "Whether the process may be sent requests",
    answers: {
      200: { description: "It may", schema: objectOf({ ready: { const: true } }) },
      503: { description: "Not now", schema: objectOf({ ready: { const: false }, reasons: TEXTS }) },
    },
    async handle() {
      const reasons = await check();
      if (reasons.length === 0) return { status: 200, json: { ready: true }, headers: NO_STORE };
      return { status: 503, json: { ready: false, reasons }, headers: NO_STORE };
    },
  });
}

function metricsRoute({ metrics, metricsAccess = "anyone" }: SystemRoutesOptions): Route {
  return defineRoute({
    method: "GET",
    path: "/metrics",
    access: metricsAccess,
    foreignAuthorization: metricsAccess === "anyone",
    tag: TAG,
    summary: "Counters in Prometheus' text format",
    answers: { 200: { description: "The counters", schema: { type: "string", contentMediaType: "text/plain" } } },
    async handle() {
      return { status: 200, text: await metrics.render(), headers: { "content-type": PROMETHEUS_TEXT } };
    },
  });
}

function openApiRoute(documentText: () => string): Route {
  return defineRoute({
    method: "GET",
    path: "/api/openapi.json",
    access: "anyone",
    tag: TAG,
    summary: "This document",
    answers: { 200: { description: "OpenAPI 3.1", schema: { type: "object" } } },
    handle: () =>
      Promise.resolve({ status: 200, text: documentText(), headers: { "content-type": "application/json" } }),
  });
}

export function systemRoutes(options: SystemRoutesOptions): Route[] {
  const { name, version, appVersion = version, publicUrl = null, model, functions } = options;
  const documentText = (): string => document();
  const own = [healthRoute(options), readinessRoute(options), metricsRoute(options), openApiRoute(documentText)];
  const routes = [...options.routes, ...own];
  const { webhooks = {} } = options;
  const fixed = { name, version: appVersion, routes, entities: model.entities, publicUrl, webhooks };
  const document = createApiDocument(fixed, () => functions.list());
  return own;
}
