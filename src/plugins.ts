// The plugins that come with Pylon, in the order in which the documentation names them.

import type { Plugin } from "./plugin/plugin.ts";
import { auditLogPlugin } from "./plugins/audit-log/audit-log-plugin.ts";
import { netGuardPlugin } from "./plugins/net-guard/net-guard-plugin.ts";
import { webhooksPlugin } from "./plugins/webhooks/webhooks-plugin.ts";

export const PLUGINS: readonly Plugin[] = [webhooksPlugin, netGuardPlugin, auditLogPlugin];
