// Makes tokens and keys for tests: well-formed ones, and any combination of header, claims and signature that an attacker
// could send.

type Json = Readonly<Record<string, unknown>>;

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

function encodePart(part: unknown): string {
  return base64Url(new TextEncoder().encode(JSON.stringify(part)));
}

export type SignBytes = (data: Uint8Array<ArrayBuffer>) => Promise<ArrayBuffer>;

export async function makeToken(header: Json, claims: unknown, sign: SignBytes): Promise<string> {
  const signed = `${encodePart(header)}.${encodePart(claims)}`;
  const signature = await sign(new TextEncoder().encode(signed));
  return `${signed}.${base64Url(new Uint8Array(signature))}`;
}

export function hmacSigner(secret: string | Uint8Array<ArrayBuffer>, hash = "SHA-256"): SignBytes {
  return async (data) => {
    const raw = typeof secret === "string" ? new TextEncoder().encode(secret) : secret;
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash }, false, ["sign"]);
    return await crypto.subtle.sign("HMAC", key, data);
  };
}

export interface IssuerKey {
  readonly alg: string;
  readonly jwk: JsonWebKey & { kid?: string };
  readonly sign: SignBytes;
}

const GENERATE = {
  RS256: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
  RS256_SHORT: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 1024,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  EdDSA: { name: "Ed25519" },
} as const;

/** A key pair of an issuer; `jwk` is its public part. */
export async function makeIssuerKey(type: keyof typeof GENERATE, kid: string | null): Promise<IssuerKey> {
  const pair = (await crypto.subtle.generateKey(GENERATE[type], true, ["sign", "verify"])) as CryptoKeyPair;
  const { kty, n, e, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const members = Object.entries({ kty, n, e, crv, x, y }).filter(([, value]) => value !== undefined);
  const alg = type === "RS256_SHORT" ? "RS256" : type;
  return {
    alg,
    jwk: { ...Object.fromEntries(members), use: "sig", alg, ...(kid === null ? {} : { kid }) },
    sign: (data) =>
      crypto.subtle.sign({ name: pair.privateKey.algorithm.name, hash: "SHA-256" }, pair.privateKey, data),
  };
}
