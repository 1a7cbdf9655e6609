// The configuration of the `cache_client` plugin, and what its schema cannot see.

import { z } from "zod";
import { DEFAULT_MAX_ENTRIES, DEFAULT_TTL_SECS, MAX_ENTRIES_LIMIT } from "../../cache/lru.ts";
import type { Problem } from "../../core/errors.ts";
import type { CheckContext } from "../../plugin/plugin.ts";
import { describeForm, parseServerUrl } from "./server-url.ts";

/** Memcached takes a longer time for a date. */
const MAX_TTL_LIMIT_SECS = 30 * 86_400;

export const cacheClientConfig = z
  .strictObject({
    backend: z.enum(["redis", "memcached"]),
    url_env: z.string().min(1),
    default_ttl_secs: z.number().gt(0).max(MAX_TTL_LIMIT_SECS).default(DEFAULT_TTL_SECS),
    /** In front of every name on the server. */
    key_prefix: z.string().max(100).default("pylon:"),
    /** The longest that any value lives, its stale time included. */
    max_ttl_secs: z.number().gt(0).max(MAX_TTL_LIMIT_SECS).default(86_400),
    /** Of the near cache. @default 1 with memcached, as long as the value with redis */
    near_ttl_secs: z.number().gt(0).max(MAX_TTL_LIMIT_SECS).optional(),
    max_entries: z.number().int().min(1).max(MAX_ENTRIES_LIMIT).default(DEFAULT_MAX_ENTRIES),
    max_bytes: z.number().int().min(1).optional(),
    /** Of one call to the server. */
    timeout_ms: z.number().int().min(10).max(10_000).default(300),
  })
  .refine(({ default_ttl_secs, max_ttl_secs }) => default_ttl_secs <= max_ttl_secs, {
    path: ["default_ttl_secs"],
    message: "Expected no more than max_ttl_secs",
  });

export type CacheClientConfig = z.infer<typeof cacheClientConfig>;

export function checkCacheClient(
  { backend, url_env }: CacheClientConfig,
  { manifest, env }: Pick<CheckContext, "manifest" | "env">,
): Problem[] {
  const problems: Problem[] = [];
  const url = env[url_env];
  if (manifest.plugins.some(({ name }) => name === "cache")) {
    problems.push({ path: "", message: "The plugins cache and cache_client both give `cache`: keep one of them" });
  }
  if (!url) problems.push({ path: "url_env", message: `${url_env} is not set`, missingEnv: url_env });
  else if (!parseServerUrl(backend, url)) {
    // The value is a secret.
    problems.push({ path: "url_env", message: `${url_env} does not fit: expected ${describeForm(backend)}` });
  }
  return problems;
}
