// The `customer_webhooks` plugin (seed: `@pylonsync/webhooks`): an application sends webhooks to its customers' endpoints. An
// event commits with the write that it tells of, and everything that follows from it is a job.

import type { Env } from "../../core/env.ts";
import type { Problem } from "../../core/errors.ts";
import { createSecretBox, parseSecretKey, SECRET_KEY_BYTES } from "../../crypto/secret-box.ts";
import type { Data } from "../../data/data.ts";
import { definePluginType, type Plugin, type PluginHost, type PluginParts } from "../../plugin/plugin.ts";
import { CUSTOMER_WEBHOOKS } from "./declare-webhooks.ts";
import { type AttemptParts, createDeliveryJob } from "./delivery-job.ts";
import { createSubjectLoader } from "./delivery-subject.ts";
import { createAudience } from "./audience.ts";
import { createDispatch, createEventReader } from "./dispatch.ts";
import { createEndpointHealth } from "./endpoint-health.ts";
import { createEndpointHooks } from "./endpoint-hooks.ts";
import { createEndpointLanes } from "./endpoint-lanes.ts";
import { endpointRoutes } from "./endpoint-routes.ts";
import { createEndpointSecrets } from "./endpoint-secrets.ts";
import { createCatalogue, describeTypes } from "./event-catalogue.ts";
import { eventRoutes } from "./event-routes.ts";
import { createFanOut } from "./fan-out.ts";
import { createFirstRoundJob } from "./first-round.ts";
import { createRecorder } from "./record-attempt.ts";
import { createSender } from "./send-delivery.ts";
import { createRedelivery } from "./redelivery.ts";
import { createSweeps } from "./retention.ts";
import { attemptEntity, checkDeclared, endpointEntity, webhookPolicies } from "./webhook-entities.ts";
import { webhookTables } from "./webhook-tables.ts";
import { customerWebhooksConfig, type CustomerWebhooksConfig } from "./webhooks-config.ts";

const KEY_VARIABLE = "PYLON_SECRET_KEY";
const UNREADABLE = `Secrets of endpoints are stored that this ${KEY_VARIABLE} does not open: their deliveries wait until the key is back or they are rotated`;
const DAY_MS = 86_400_000;

function secretKeyOf(env: Env): Uint8Array | null {
  const text = env[KEY_VARIABLE];
  return text === undefined || text === "" ? null : (parseSecretKey(text) ?? null);
}

function checkKey(env: Env): Problem[] {
  const text = env[KEY_VARIABLE];
  if (text === undefined || text === "" || parseSecretKey(text)) return [];
  const message = `Expected ${SECRET_KEY_BYTES} bytes as ${SECRET_KEY_BYTES * 2} hexadecimal digits or base64`;
  return [{ path: "", message, variable: KEY_VARIABLE }];
}

function setUp(config: CustomerWebhooksConfig, host: PluginHost): PluginParts {
  const { clock, ulid, reader, store, http } = host;
  const data = (): Data => host.data();
  const random = Math.random;
  const catalogue = createCatalogue(config.eventTypes);
  const lanes = createEndpointLanes();
  const box = createSecretBox(secretKeyOf(host.env));
  const secrets = createEndpointSecrets({
    box,
    clock,
    ulid,
    createHmac: host.createSigner,
    onUnreadable: () => host.log.warn("webhooks.secrets_unreadable", { message: UNREADABLE }),
  });
  const audience = createAudience({ data, clock, lanes });
  const fanOut = createFanOut({ data, reader, clock, audience, random });
  const health = createEndpointHealth({ data, clock, catalogue, fanOut });
  const readEvent = createEventReader({ catalogue, clock, ulid });
  const redelivery = createRedelivery({ data, clock });
  const attempts: AttemptParts = {
    clock,
    random,
    lanes,
    scheduleMs: config.retrySchedule.map((secs) => secs * 1_000),
    load: createSubjectLoader({ data, reader, lanes, secrets }),
    send: createSender({ http, clock }),
    record: createRecorder({ data, clock, health }),
  };
  return {
    hooks: createEndpointHooks({ secrets, catalogue, lanes, clock }),
    jobs: [createDeliveryJob(attempts), createFirstRoundJob({ ...attempts, data, reader }), fanOut.job],
    routes: [
      ...endpointRoutes({ data, reader, secrets, readEvent, fanOut }),
      ...eventRoutes({ data, clock, readEvent, fanOut, redelivery }),
    ],
    sdk: { dispatch: createDispatch(readEvent, { config, fanOut }) },
    sweeps: createSweeps({ data, reader, store, clock, secrets, keptMs: config.attemptRetentionDays * DAY_MS }),
    webhooks: describeTypes(config),
    start() {
      // A store that fails now will say so where it matters.
      secrets.probe(reader).catch(() => undefined);
    },
  };
}

export const customerWebhooksPlugin: Plugin = definePluginType({
  name: CUSTOMER_WEBHOOKS,
  config: customerWebhooksConfig,
  entities: [
    { def: endpointEntity, readOnly: false, declarable: true },
    { def: attemptEntity, readOnly: true, declarable: true },
  ],
  policies: webhookPolicies,
  tables: webhookTables,
  check: (_config, { manifest, env }) => [...checkKey(env), ...checkDeclared(manifest.entities)],
  setup: setUp,
});
