// A `fetch` for code that must not reach private networks: same arguments and same streams, but every hop is judged and
// goes to the address that was judged, and a refused one rejects with `code` "NET_BLOCKED".
import type { PylonError } from "../core/errors.ts";
import type { DialInit } from "./dialer.ts";
import { netError } from "./net-errors.ts";
import { planHeaders } from "./outbound-headers.ts";
import { createPinnedDial, type Dialed, type PinnedDialOptions } from "./pinned-dial.ts";

/** `fetch` as the Web has it, for http and https. */
export type GuardedFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/** As many as the Fetch standard follows (HTTP-redirect fetch, step 5). */
const MAX_REDIRECTS = 20;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** What says who the caller is; another origin must not learn it. */
const CREDENTIALS: readonly string[] = ["authorization", "cookie", "cookie2"];
/** What describes a body that a redirect drops. */
const BODY_HEADERS: readonly string[] = ["content-encoding", "content-language", "content-location", "content-type"];

/** One request on its way: what the next hop sends. */
interface Hop {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | undefined;
}

function toError(dialed: Exclude<Dialed, { kind: "opened" }>): PylonError {
  if (dialed.kind === "blocked") return netError("NET_BLOCKED", { message: dialed.reason });
  return netError(dialed.failure.code, { message: dialed.failure.message });
}

function without(headers: Hop["headers"], names: readonly string[]): Hop["headers"] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

/** Whether the redirect turns the request into a GET: POST on 301 and 302, anything but GET and HEAD on 303. */
function dropsBody(status: number, method: string): boolean {
  if (status === 303) return method !== "GET" && method !== "HEAD";
  return (status === 301 || status === 302) && method === "POST";
}

/** The hop that a redirect asks for (Fetch standard, HTTP-redirect fetch). Undefined when there is no readable target. */
function planRedirect(hop: Hop, from: URL, response: Response): Hop | undefined {
  const location = response.headers.get("location");
  const url = location === null ? undefined : URL.parse(location, from);
  if (!url) return undefined;
  const toGet = dropsBody(response.status, hop.method);
  const headers = url.origin === from.origin ? hop.headers : without(hop.headers, CREDENTIALS);
  if (!toGet) return { ...hop, url: url.href, headers };
  return { url: url.href, method: "GET", headers: without(headers, BODY_HEADERS), body: undefined };
}

/** Puts the logical address on a response that came from a literal one, so that relative links and logs stay right. */
function present(response: Response, url: URL, isRedirected: boolean): Response {
  return Object.defineProperties(response, {
    url: { value: url.href.replace(/#.*$/s, ""), configurable: true },
    redirected: { value: isRedirected, configurable: true },
  });
}

/** A body that can be sent again when a redirect asks for it; a stream that the caller made is sent once. */
async function readBody(request: Request, init: RequestInit | undefined): Promise<Hop["body"]> {
  if (!request.body) return undefined;
  return init?.body instanceof ReadableStream ? request.body : new Uint8Array(await request.arrayBuffer());
}

async function firstHop(request: Request, init: RequestInit | undefined): Promise<Hop> {
  const headers = planHeaders(Object.fromEntries(request.headers), { "user-agent": "Pylon", accept: "*/*" });
  if (!headers) throw netError("NET_REQUEST_INVALID");
  return { url: request.url, method: request.method, headers, body: await readBody(request, init) };
}

/** Rejects when `signal` aborts, for the waits that cannot be called off. */
async function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Creates a `fetch` behind the guard. Redirects are followed as `redirect` says, up to 20, each one judged again;
 * credentials stay behind when the origin changes. `redirect: "manual"` gives the 3xx response itself.
 *
 * It rejects with a `PylonError` of a `NET_*` code, or with the signal's reason when the caller aborts.
 */
export function createGuardedFetch(options: PinnedDialOptions): GuardedFetch {
  const dial = createPinnedDial(options);
  let inFlight = 0;

  const send = async (
    { url, method, headers, body }: Hop,
    signal: AbortSignal,
  ): Promise<Dialed & { kind: "opened" }> => {
    const call: DialInit = { method, headers: { ...headers }, body, signal, decompress: true, inFlight };
    const dialed = await orAborted(dial(url, call), signal);
    if (dialed.kind === "opened") return dialed;
    signal.throwIfAborted();
    throw toError(dialed);
  };

  const follow = async (first: Hop, redirect: RequestRedirect, signal: AbortSignal): Promise<Response> => {
    let hop = first;
    for (let redirects = 0; ; redirects++) {
      const { response, url } = await send(hop, signal);
      const isFinal = redirect === "manual" || !REDIRECTS.has(response.status) || !response.headers.has("location");
      if (isFinal) return present(response, url, redirects > 0);
      await response.body?.cancel();
      const next = redirect === "error" ? undefined : planRedirect(hop, url, response);
      if (!next)
        throw netError("NET_PROTOCOL", { message: "The target answered with a redirect that is not followed" });
      if (redirects === MAX_REDIRECTS) throw netError("NET_PROTOCOL", { message: "The target redirects too often" });
      if (next.body instanceof ReadableStream) {
        throw netError("NET_REQUEST_INVALID", {
          message: "Cannot send a streamed body again to where the target redirects",
        });
      }
      hop = next;
    }
  };

  return async (input, init) => {
    const request = new Request(input, init);
    inFlight++;
    try {
      return await follow(await firstHop(request, init), request.redirect, request.signal);
    } finally {
      inFlight--;
    }
  };
}
