// @transmute/rfc9162 under every runtime: what a CommonJS module calls its default is one level deeper on Deno.

import imported from "@transmute/rfc9162";

type Rfc9162 = typeof imported;

export const rfc9162: Rfc9162 =
  "default" in imported ? (imported as unknown as { readonly default: Rfc9162 }).default : imported;
