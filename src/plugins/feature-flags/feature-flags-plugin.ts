// The `feature_flags` plugin (seeds): flags per user, tenant or percentage, checked from functions and asked over HTTP.
// Configuration gives the first value; an administrator's change is stored and live on every replica within a second.

import { messageOf } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import { encodeBase64Url } from "../../crypto/base64.ts";
import type { Change } from "../../data/change.ts";
import { type RepeatingTask, startRepeatingTask } from "../../jobs/repeating-task.ts";
import { definePluginType, type Plugin, type PluginHost } from "../../plugin/plugin.ts";
import type { Store, Tx } from "../../store/store.ts";
import { createChangeStreams, createStreamTokens } from "./change-streams.ts";
import type { Evaluation, FeatureVariant, FlagSubject, IsFeatureEnabled } from "./evaluation.ts";
import { FLAG_ENTITY, flagEntity } from "./flag-changes.ts";
import { featureFlagsConfig } from "./flag-definition.ts";
import { flagRoutes } from "./flag-routes.ts";
import { createFlagUses, type FlagUses, flagUseTable } from "./flag-use.ts";
import { type LiveFlags, openLiveFlags, REVISION_KEY } from "./live-flags.ts";
import { ofrepRoutes } from "./ofrep-routes.ts";
import { answerFlag } from "./served-flags.ts";

/** How far the counters of other processes lag behind. */
const COUNT_MS = 10_000;
const SECRET_KEY = "feature_flags.secret";
const SECRET_BYTES = 32;
/** Names of flags that do not exist and were asked for; each is logged once. */
const MAX_UNKNOWN = 100;

/** Signs the tokens of streams on every replica; made by the first. */
async function readSecret(store: Store): Promise<string> {
  const known = await store.reader.readMeta(SECRET_KEY);
  if (known !== undefined) return known;
  const fresh = encodeBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)));
  return store.write(async (tx) => {
    const earlier = await tx.readMeta(SECRET_KEY);
    if (earlier === undefined) await tx.writeMeta(SECRET_KEY, fresh);
    return earlier ?? fresh;
  });
}

type Ask = (...asked: Parameters<IsFeatureEnabled>) => Evaluation | null;

/** Answers application code: null for a flag that does not exist, which is logged once. */
function createAsk(live: LiveFlags, host: PluginHost): Ask {
  const { clock, log } = host;
  const unknown = new Set<string>();
  const reportUnknown = (name: string): void => {
    if (unknown.has(name) || unknown.size >= MAX_UNKNOWN) return;
    unknown.add(name);
    log.warn("flags.unknown", { flag: name });
  };
  return (name, auth, attributes) => {
    void live.fresh();
    const served = live.current.byName.get(name);
    if (!served) {
      reportUnknown(name);
      return null;
    }
    const caller: FlagSubject | Identity | null | undefined = auth === undefined ? host.currentCall()?.actor : auth;
    const { userId, tenantId, email, roles, isAdmin } = caller ?? {};
    return answerFlag(served, { userId, tenantId, email, roles, isAdmin, attributes, nowMs: clock.now() });
  };
}

/** Plain values: whoever forgets `await` does not turn every flag on. */
function sdkExports(ask: Ask): {
  readonly isFeatureEnabled: IsFeatureEnabled;
  readonly featureVariant: FeatureVariant;
} {
  return {
    isFeatureEnabled: (...asked) => ask(...asked)?.value ?? false,
    featureVariant: (...asked) => ask(...asked)?.variant ?? null,
  };
}

/** Where a proxy serves this instance: `/shop` for `https://example.com/shop/`. */
function basePathOf(publicUrl: string | undefined): string {
  const path = publicUrl === undefined ? undefined : URL.parse(publicUrl)?.pathname;
  return path?.replace(/\/+$/, "") ?? "";
}

function startCounting(uses: FlagUses, { clock, log, store }: PluginHost): RepeatingTask {
  return startRepeatingTask({
    clock,
    name: "flag use",
    log: (level, message, fields) => log[level](`flags.${level}`, { message, ...fields }),
    firstDelayMs: COUNT_MS,
    retryDelayMs: COUNT_MS,
    async run() {
      await uses.flush(store);
      return COUNT_MS;
    },
  });
}

/** What was counted last. An instance whose store is away has to close all the same. */
async function flushQuietly(uses: FlagUses, { log, store }: PluginHost): Promise<void> {
  try {
    await uses.flush(store);
  } catch (error) {
    log.warn("flags.use_lost", { message: messageOf(error) });
  }
}

export const featureFlagsPlugin: Plugin = definePluginType({
  name: "feature_flags",
  config: featureFlagsConfig,
  entities: [{ def: flagEntity, readOnly: true, audited: true }],
  tables: [flagUseTable],
  async setup(config, host) {
    const { clock, log, reader, store, ulid } = host;
    const configured = new Map(Object.entries(config.flags));
    const signer = host.createSigner(await readSecret(store));
    const streams = createChangeStreams(clock, Math.random);
    const onChange = (set: LiveFlags["current"]): void => streams.announce(set);
    const uses = createFlagUses();
    const live = await openLiveFlags({ configured, reader, clock, log, signer, useOf: uses.of, onChange });
    let counting: RepeatingTask | undefined;
    const bumpRevision = (change: Change, tx: Tx): Promise<void> => tx.writeMeta(REVISION_KEY, ulid(change.at));
    return {
      hooks: { entities: new Set([FLAG_ENTITY]), within: bumpRevision },
      routes: [
        ...flagRoutes({
          live,
          configured,
          data: () => host.data(),
          readUses: () => uses.read(reader),
          clock,
          log,
        }),
        ...ofrepRoutes({
          live,
          streams,
          tokens: createStreamTokens(signer, clock),
          clock,
          basePath: basePathOf(host.env["PYLON_PUBLIC_URL"]),
        }),
      ],
      sdk: sdkExports(createAsk(live, host)),
      start() {
        live.start();
        counting ??= startCounting(uses, host);
      },
      drain: () => streams.close(),
      async close() {
        live.stop();
        streams.close();
        counting?.stop();
        await flushQuietly(uses, host);
      },
    };
  },
});
