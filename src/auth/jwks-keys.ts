// The public keys of a token issuer (RFC 7517), fetched and kept. Strangers with invented key ids cannot make it ask the
// issuer more than once in 30 seconds, and an issuer that does not answer leaves the keys that are known in force.

import type { Clock } from "../core/clock.ts";
import { isObject } from "../core/json.ts";
import { authError } from "./auth-errors.ts";

export type JwksAlgorithm = "RS256" | "ES256" | "EdDSA";

const FRESH_MS = 10 * 60 * 1000;
const COOL_DOWN_MS = 30 * 1000;
/** Keys are trusted this long while the issuer cannot be reached. */
const STALE_MS = 24 * 60 * 60 * 1000;
const FETCH_TIMEOUT_MS = 5_000;
const MAX_BODY_BYTES = 256 * 1024;
const MAX_KEYS = 100;
/** 2048 bits in base64url (RFC 7518 section 3.3 requires them), without padding. */
const MIN_RSA_MODULUS_CHARS = 342;

type ImportParams = RsaHashedImportParams | EcKeyImportParams | AlgorithmIdentifier;

interface AlgorithmSpec {
  readonly params: ImportParams;
  fits(jwk: JsonWebKey): boolean;
}

/** A key serves the one algorithm that its type allows, so a token's header cannot pair it with another. */
const ALGORITHMS: Readonly<Record<JwksAlgorithm, AlgorithmSpec>> = {
  RS256: {
    params: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
    fits: (jwk) => jwk.kty === "RSA" && (jwk.n ?? "").length >= MIN_RSA_MODULUS_CHARS,
  },
  ES256: {
    params: { name: "ECDSA", namedCurve: "P-256" },
    fits: (jwk) => jwk.kty === "EC" && jwk.crv === "P-256",
  },
  EdDSA: { params: { name: "Ed25519" }, fits: (jwk) => jwk.kty === "OKP" && jwk.crv === "Ed25519" },
};

export function isJwksAlgorithm(name: string): name is JwksAlgorithm {
  return Object.hasOwn(ALGORITHMS, name);
}

interface VerifyingKey {
  readonly kid: string | null;
  readonly algorithm: JwksAlgorithm;
  readonly key: CryptoKey;
}

/** What a JWK is for, or null when it is not for checking signatures with an accepted algorithm. */
function algorithmOf(jwk: JsonWebKey): JwksAlgorithm | null {
  if (jwk.use !== undefined && jwk.use !== "sig") return null;
  if (jwk.key_ops !== undefined && !jwk.key_ops.includes("verify")) return null;
  const names = Object.keys(ALGORITHMS) as JwksAlgorithm[];
  const name = names.find((candidate) => ALGORITHMS[candidate].fits(jwk));
  const named = jwk.alg === undefined || jwk.alg === name || (jwk.alg === "Ed25519" && name === "EdDSA");
  return name !== undefined && named ? name : null;
}

/** Only the public members, so that a key published with its private part by mistake is still importable. */
function publicPart({ kty, n, e, crv, x, y }: JsonWebKey): JsonWebKey {
  const members = Object.entries({ kty, n, e, crv, x, y }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(members);
}

async function importKey(jwk: JsonWebKey & { kid?: unknown }): Promise<VerifyingKey | null> {
  const algorithm = algorithmOf(jwk);
  if (algorithm === null) return null;
  try {
    const key = await crypto.subtle.importKey("jwk", publicPart(jwk), ALGORITHMS[algorithm].params, false, ["verify"]);
    return { kid: typeof jwk.kid === "string" ? jwk.kid : null, algorithm, key };
  } catch {
    // One broken key must not take the others with it (RFC 7517 section 5).
    return null;
  }
}

/** @throws when the document is not a key set, or too large a one. */
async function importKeySet(text: string): Promise<VerifyingKey[]> {
  const document: unknown = JSON.parse(text);
  const listed: unknown = isObject(document) ? document["keys"] : null;
  if (!Array.isArray(listed) || listed.length > MAX_KEYS) throw new TypeError("Cannot read the key set");
  const keys = await Promise.all(listed.filter(isObject).map((jwk) => importKey(jwk as JsonWebKey)));
  return keys.filter((key) => key !== null);
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let byteCount = 0;
  for await (const chunk of response.body ?? []) {
    byteCount += chunk.length;
    if (byteCount > MAX_BODY_BYTES) throw new TypeError("The key set is too large");
    chunks.push(chunk);
  }
  return await new Blob(chunks).text();
}

/** The part of `fetch` that is needed; the URL is the operator's, so it takes no guard. */
export type JwksFetch = (url: string, init: RequestInit) => Promise<Response>;

async function fetchKeys(url: string, fetchUrl: JwksFetch): Promise<VerifyingKey[]> {
  const response = await fetchUrl(url, {
    headers: { accept: "application/json" },
    redirect: "error",
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new TypeError(`The issuer answered ${response.status}`);
  }
  return await importKeySet(await readBounded(response));
}

/** With a key id its key; without one the only key there is for the algorithm, never a guess among several. */
function pick(keys: readonly VerifyingKey[], algorithm: JwksAlgorithm, kid: string | null): CryptoKey | null {
  const fitting = keys.filter((key) => key.algorithm === algorithm && (kid === null || key.kid === kid));
  return fitting.length === 1 ? (fitting[0]?.key ?? null) : null;
}

export interface JwksKeys {
  /**
   * The key for a token's header, null when the issuer has none.
   *
   * @throws JWKS_UNAVAILABLE when no keys could be read within the last day.
   */
  find(algorithm: JwksAlgorithm, kid: string | null): Promise<CryptoKey | null>;
}

export interface JwksKeysOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly fetch: JwksFetch;
}

export function createJwksKeys(options: JwksKeysOptions): JwksKeys {
  const { url, clock } = options;
  let known: { readonly keys: VerifyingKey[]; readonly readAt: number } | null = null;
  let askedAt = -Infinity;
  let asking: Promise<void> | null = null;
  const age = (): number => (known ? clock.monotonic() - known.readAt : Infinity);
  const ask = async (): Promise<void> => {
    askedAt = clock.monotonic();
    try {
      known = { keys: await fetchKeys(url, options.fetch), readAt: askedAt };
    } catch {
      if (age() > STALE_MS) known = null;
    } finally {
      asking = null;
    }
  };
  /** One request at a time, whoever waits for it. */
  const refresh = (): Promise<void> => {
    if (asking) return asking;
    return clock.monotonic() - askedAt < COOL_DOWN_MS ? Promise.resolve() : (asking = ask());
  };
  return {
    async find(algorithm, kid) {
      if (age() > FRESH_MS) await refresh();
      let key = known && pick(known.keys, algorithm, kid);
      if (!key) {
        await refresh();
        key = known && pick(known.keys, algorithm, kid);
      }
      if (!known) throw authError("JWKS_UNAVAILABLE");
      return key;
    },
  };
}
