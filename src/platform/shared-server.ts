// The drivers of the servers that `cache_client` uses. They are loaded when they are asked for: most applications have none.

import type { OpenSharedServer } from "../cache/shared-server.ts";

export const openSharedServer: OpenSharedServer = async (options) => {
  if (options.backend === "redis") return (await import("./redis-server.ts")).openRedisServer(options);
  return (await import("./memcached-server.ts")).openMemcachedServer(options);
};
