// The codes that a cache raises: all of them are mistakes of the calling code, never the state of the cache.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export type CacheErrorCode =
  | "CACHE_KEY_INVALID"
  | "CACHE_VALUE_INVALID"
  | "CACHE_OPTION_INVALID"
  | "CACHE_LOADER_INVALID";

export const cacheError: ErrorFactory<CacheErrorCode> = defineErrors({
  CACHE_KEY_INVALID: {
    status: 500,
    message: "Cannot use this as a key",
    hint: "A key is a string of at most 65,536 characters",
  },
  CACHE_VALUE_INVALID: {
    status: 500,
    message: "Cannot cache this value",
    hint: "Cache what JSON can hold; null stands for nothing",
  },
  CACHE_OPTION_INVALID: {
    status: 500,
    message: "Cannot use this option",
    hint: "Times are numbers of seconds, at most 315,360,000 (ten years)",
  },
  CACHE_LOADER_INVALID: {
    status: 500,
    message: "Cannot load with this",
    hint: "A loader is a function: cache.fetch(key, () => value)",
  },
});
