// The plugins that come with Pylon, in the order in which the documentation names them.

import type { Plugin } from "./plugin/plugin.ts";
import { auditLogPlugin } from "./plugins/audit-log/audit-log-plugin.ts";
import { cacheClientPlugin } from "./plugins/cache-client/cache-client-plugin.ts";
import { cachePlugin } from "./plugins/cache/cache-plugin.ts";
import { customerWebhooksPlugin } from "./plugins/customer-webhooks/customer-webhooks-plugin.ts";
import { declareWebhooks, entryOf } from "./plugins/customer-webhooks/declare-webhooks.ts";
import { dispatch } from "./plugins/customer-webhooks/dispatch.ts";
import { featureFlagsPlugin } from "./plugins/feature-flags/feature-flags-plugin.ts";
import { customerWebhookError } from "./plugins/customer-webhooks/webhook-errors.ts";
import { netGuardPlugin } from "./plugins/net-guard/net-guard-plugin.ts";
import { webhooksPlugin } from "./plugins/webhooks/webhooks-plugin.ts";

export const PLUGINS: readonly Plugin[] = [
  webhooksPlugin,
  customerWebhooksPlugin,
  cachePlugin,
  cacheClientPlugin,
  featureFlagsPlugin,
  netGuardPlugin,
  auditLogPlugin,
];

export { dispatch };

/** `webhooks` for an application that is being loaded: what it declares turns the plugin on, exported or not. */
export function webhooksDeclaring(
  definePlugin: (name: string, config: Readonly<Record<string, unknown>>) => unknown,
): typeof declareWebhooks {
  let isDeclared = false;
  return (options) => {
    if (isDeclared) throw customerWebhookError("WEBHOOKS_DECLARED_TWICE");
    isDeclared = true;
    const declared = declareWebhooks(options);
    const { name, config } = entryOf(declared.config);
    definePlugin(name, config);
    return declared;
  };
}
