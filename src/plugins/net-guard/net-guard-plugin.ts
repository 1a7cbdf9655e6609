// The `net_guard` plugin (seeds): what outbound calls may reach although it is not public. The guard itself is always
// there; this is its configuration.

import { z } from "zod";
import { parseGuardEntries } from "../../net/guard-entries.ts";
import { definePluginType, type Plugin } from "../../plugin/plugin.ts";

const netGuardConfig = z.strictObject({
  /** `host`, `host:port`, an address; without a port every port is allowed. */
  allow_hosts: z.array(z.string().min(1).max(300)).max(1_000).default([]),
  allow_cidrs: z.array(z.string().min(1).max(64)).max(1_000).default([]),
  /** Whether `fetch` in application functions goes through the guard as well. */
  guard_functions: z.boolean().default(false),
});

export const netGuardPlugin: Plugin = definePluginType({
  name: "net_guard",
  config: netGuardConfig,
  check: (config) => parseGuardEntries(config).problems,
  outbound(config) {
    const { allowHosts, allowCidrs } = parseGuardEntries(config);
    return { allowHosts, allowCidrs, guardFunctions: config.guard_functions };
  },
  setup: () => ({}),
});
