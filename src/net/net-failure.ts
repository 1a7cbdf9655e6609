// Reads what a platform rejected with and says which of Pylon's codes it is. Only the platform's code reaches the message:
// its text may hold the whole URL, and with it somebody's token.
import { netError, type NetFailureCode } from "./net-errors.ts";

/** A call that was allowed and came to nothing. */
export interface NetFailure {
  readonly code: NetFailureCode;
  /** Sentence case; names the platform's code, never the URL or an address. */
  readonly message: string;
}

/** Codes of Bun, Deno and Node, by what they mean here. */
const CODES: Readonly<Record<NetFailureCode, readonly string[]>> = {
  NET_ABORTED: ["ABORT_ERR"],
  NET_CONNECT: [
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "EHOSTDOWN",
    "ENETUNREACH",
    "ENETDOWN",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EACCES",
    "EPERM",
    "EINVAL",
    "EMFILE",
    "ENFILE",
    "ConnectionRefused",
    "FailedToOpenSocket",
  ],
  NET_DNS: ["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA", "EAI_NONAME"],
  NET_PROTOCOL: ["UnrequestedUpgrade", "Malformed_HTTP_Response", "ZlibError", "BrotliDecompressionError"],
  NET_REQUEST_INVALID: ["ERR_INVALID_CHAR", "ERR_INVALID_HTTP_TOKEN", "ERR_UNESCAPED_CHARACTERS", "ERR_INVALID_URL"],
  NET_RESET: ["ECONNRESET", "ECONNABORTED", "EPIPE", "ConnectionClosed", "ERR_STREAM_PREMATURE_CLOSE"],
  NET_RESPONSE_TOO_LARGE: ["ResponseHeadersTooLarge", "HPE_HEADER_OVERFLOW"],
  // Not NET_CONNECT: a connection can also time out after the request was sent, and then another address must not get it.
  NET_TIMEOUT: ["ETIMEDOUT", "ERR_SOCKET_CONNECTION_TIMEOUT"],
  NET_TLS: ["EPROTO", "DEPTH_ZERO_SELF_SIGNED_CERT", "SELF_SIGNED_CERT_IN_CHAIN", "HOSTNAME_MISMATCH"],
};

const EXACT: ReadonlyMap<string, NetFailureCode> = new Map(
  Object.entries(CODES).flatMap(([code, names]) => names.map((name) => [name, code as NetFailureCode] as const)),
);

/** Families of codes, tried after the exact ones. */
const PREFIXES: readonly (readonly [prefix: string, code: NetFailureCode])[] = [
  ["HPE_", "NET_PROTOCOL"],
  ["Z_", "NET_PROTOCOL"],
  ["ERR_TLS_", "NET_TLS"],
  ["ERR_SSL_", "NET_TLS"],
  ["CERT_", "NET_TLS"],
  ["CRL_", "NET_TLS"],
  ["UNABLE_TO_", "NET_TLS"],
  ["ERROR_IN_CERT_", "NET_TLS"],
  ["INVALID_CA", "NET_TLS"],
  ["INVALID_PURPOSE", "NET_TLS"],
  ["PATH_LENGTH_EXCEEDED", "NET_TLS"],
];

const SAFE_CODE = /^[A-Za-z][A-Za-z0-9_]{1,63}$/;
/** How far down a chain of causes the code is looked for; an aggregate of connection attempts counts as one step. */
const MAX_CAUSES = 4;

function codesOf(error: unknown, depth = 0): string[] {
  if (depth === MAX_CAUSES || typeof error !== "object" || error === null) return [];
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  const own = typeof code === "string" && SAFE_CODE.test(code) ? [code] : [];
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  return [...own, ...codesOf(cause, depth + 1), ...codesOf(first, depth + 1)];
}

function classify(code: string): NetFailureCode | undefined {
  return EXACT.get(code) ?? PREFIXES.find(([prefix]) => code.startsWith(prefix))?.[1];
}

/** A failure with the code's own message, and the platform's code beside it when there is one. */
export function netFailure(code: NetFailureCode, platformCode?: string): NetFailure {
  const { message } = netError.table[code];
  return { code, message: platformCode === undefined ? message : `${message} (${platformCode})` };
}

/** What `error` of a {@link Dialer} means. One that says nothing is a request that the platform refused to send, or a broken answer. */
export function failureOf(error: unknown): NetFailure {
  for (const platformCode of codesOf(error)) {
    const code = classify(platformCode);
    if (code) return netFailure(code, platformCode);
  }
  if (error instanceof Error && error.name === "AbortError") return netFailure("NET_ABORTED");
  const unknownCode = codesOf(error)[0];
  // A request that a runtime will not send, such as a GET with a body, is a TypeError without a code.
  const isRefusedRequest = error instanceof TypeError && unknownCode === undefined;
  return isRefusedRequest ? netFailure("NET_REQUEST_INVALID") : netFailure("NET_PROTOCOL", unknownCode);
}
