// The `webhooks` plugin (seeds): signed HTTP POSTs after entity writes. A delivery is a job that commits with its write,
// so a committed write is delivered at least once and a rolled-back one never.

import type { Change } from "../../data/change.ts";
import type { Data } from "../../data/data.ts";
import { definePluginType, type Plugin } from "../../plugin/plugin.ts";
import type { Tx } from "../../store/store.ts";
import { deadLetterEntity } from "./dead-letter.ts";
import { createDeliveryJob } from "./delivery-job.ts";
import { deliveryRoutes } from "./delivery-routes.ts";
import { planDelivery } from "./delivery.ts";
import { checkHooks, resolveHooks, webhooksConfig, type Hook } from "./hook-config.ts";

/** The hooks that a change matches, by entity and event. */
function indexHooks(hooks: readonly Hook[]): (change: Change) => readonly Hook[] {
  const index = new Map<string, Hook[]>();
  for (const hook of hooks) {
    for (const event of hook.events) {
      const key = `${event} ${hook.entity}`;
      index.set(key, [...(index.get(key) ?? []), hook]);
    }
  }
  return (change) => index.get(`${change.op} ${change.entity}`) ?? [];
}

export const webhooksPlugin: Plugin = definePluginType({
  name: "webhooks",
  config: webhooksConfig,
  entities: [{ def: deadLetterEntity, readOnly: true }],
  check: checkHooks,
  setup(config, host) {
    const hooks = resolveHooks(config, host.env);
    const hooksOf = indexHooks(hooks);
    const { clock, http, reader } = host;
    const data = (): Data => host.data();
    const enqueue = async (change: Change, tx: Tx): Promise<void> => {
      const matching = hooksOf(change);
      const row = change.after ?? change.before;
      if (matching.length === 0 || !row) return;
      const shown = data().model.entity(change.entity).codec.toText(row);
      for (const hook of matching) {
        await tx.enqueueJob(planDelivery(hook, change, shown, `wh_${host.ulid(change.at)}`));
      }
    };
    return {
      hooks: { entities: new Set(hooks.map((hook) => hook.entity)), within: enqueue },
      jobs: [createDeliveryJob({ hooks, http, clock, data, random: Math.random, createSigner: host.createSigner })],
      routes: deliveryRoutes({ hooks, reader, data, clock }),
    };
  },
});
