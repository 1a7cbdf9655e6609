// The `cache` plugin (seeds): a key-value cache in this process for expensive computations. It is `cache` of
// `@pylonsync/sdk`, one per instance, and gone with it.

import { z } from "zod";
import { MAX_TTL_SECS } from "../../cache/cache-input.ts";
import { createLru, DEFAULT_MAX_ENTRIES, DEFAULT_TTL_SECS, MAX_ENTRIES_LIMIT } from "../../cache/lru.ts";
import { definePluginType, type Plugin } from "../../plugin/plugin.ts";

const cacheConfig = z.strictObject({
  max_entries: z.number().int().min(1).max(MAX_ENTRIES_LIMIT).default(DEFAULT_MAX_ENTRIES),
  /** UTF-8 length of keys and of values as JSON. */
  max_bytes: z.number().int().min(1).optional(),
  default_ttl_secs: z.number().gt(0).max(MAX_TTL_SECS).default(DEFAULT_TTL_SECS),
});

export const cachePlugin: Plugin = definePluginType({
  name: "cache",
  config: cacheConfig,
  setup({ max_entries, max_bytes, default_ttl_secs }, { clock }) {
    const cache = createLru({
      maxEntries: max_entries,
      ...(max_bytes === undefined ? {} : { maxBytes: max_bytes }),
      defaultTtlSecs: default_ttl_secs,
      clock,
    });
    return { sdk: { cache } };
  },
});
