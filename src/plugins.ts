// The plugins that come with Pylon, in the order in which the documentation names them.

import type { Plugin } from "./plugin/plugin.ts";
import { auditLogPlugin } from "./plugins/audit-log/audit-log-plugin.ts";
import { cacheClientPlugin } from "./plugins/cache-client/cache-client-plugin.ts";
import { cachePlugin } from "./plugins/cache/cache-plugin.ts";
import { featureFlagsPlugin } from "./plugins/feature-flags/feature-flags-plugin.ts";
import { netGuardPlugin } from "./plugins/net-guard/net-guard-plugin.ts";
import { webhooksPlugin } from "./plugins/webhooks/webhooks-plugin.ts";

export const PLUGINS: readonly Plugin[] = [
  cachePlugin,
  cacheClientPlugin,
  webhooksPlugin,
  netGuardPlugin,
  featureFlagsPlugin,
  auditLogPlugin,
];
