// Which JSON Web Tokens are accepted, read from the environment. One kind of key and one issuer, or none at all: a token
// never chooses how it is checked.

import { coreError, type Problem } from "../core/errors.ts";

/** RFC 7518 section 3.2: a key of at least the size of the hash output. */
const MIN_SECRET_BYTES = 32;
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);

interface Expected {
  /** `iss` has to be this. */
  readonly issuer: string;
  /** `aud` has to be or hold this, when set. */
  readonly audience: string | null;
}

export type JwtConfig = Expected &
  ({ readonly kind: "secret"; readonly secret: string } | { readonly kind: "jwks"; readonly url: string });

type Env = Readonly<Record<string, string | undefined>>;

const SECRET = "PYLON_JWT_SECRET";
const JWKS_URL = "PYLON_JWT_JWKS_URL";
const ISSUER = "PYLON_JWT_ISSUER";
const AUDIENCE = "PYLON_JWT_AUDIENCE";

function secretProblem(secret: string): string | null {
  const byteCount = new TextEncoder().encode(secret).length;
  return byteCount < MIN_SECRET_BYTES ? `Needs at least ${MIN_SECRET_BYTES} bytes, has ${byteCount}` : null;
}

/** Who can change the keys on their way can sign as anyone, so plain HTTP is for this machine only. */
function urlProblem(text: string): string | null {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!url) return "Is not a URL";
  if (url.username !== "" || url.password !== "") return "Must not hold a user or password";
  if (url.protocol === "https:") return null;
  if (url.protocol === "http:" && LOOPBACK_HOSTS.has(url.hostname)) return null;
  return "Must be https";
}

function findProblems(env: Env): Problem[] {
  const problems: Problem[] = [];
  const add = (path: string, message: string | null): void => {
    if (message !== null) problems.push({ path, message });
  };
  const [secret, url] = [env[SECRET], env[JWKS_URL]];
  if (secret) add(SECRET, secretProblem(secret));
  if (url) add(JWKS_URL, urlProblem(url));
  if (secret && url) add(JWKS_URL, `Cannot be used together with ${SECRET}`);
  if ((secret || url) && !env[ISSUER]) {
    problems.push({ path: ISSUER, message: "Is required to accept JSON Web Tokens", missingEnv: ISSUER });
  }
  if (!secret && !url) {
    for (const name of [ISSUER, AUDIENCE]) if (env[name]) add(name, `Needs ${SECRET} or ${JWKS_URL}`);
  }
  return problems;
}

/**
 * Reads `PYLON_JWT_SECRET` or `PYLON_JWT_JWKS_URL`, `PYLON_JWT_ISSUER` and `PYLON_JWT_AUDIENCE`. An empty variable counts as
 * unset; null when none is set.
 *
 * @throws CONFIG_INVALID with every problem as a detail; no detail holds a value.
 */
export function parseJwtConfig(env: Env): JwtConfig | null {
  const problems = findProblems(env);
  if (problems.length > 0) throw coreError("CONFIG_INVALID", { details: problems });
  const expected = { issuer: env[ISSUER] ?? "", audience: env[AUDIENCE] || null };
  const [secret, url] = [env[SECRET], env[JWKS_URL]];
  if (secret) return { kind: "secret", secret, ...expected };
  return url ? { kind: "jwks", url, ...expected } : null;
}
