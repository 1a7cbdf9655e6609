// Outbound connections on Bun: `fetch` to the literal address with the name in `Host` and in the TLS server name, which is
// also the name that the certificate must be for. Connections are pooled by address and server name.
import type { Dialer, DialInit } from "../net/dialer.ts";
import { platformFetch } from "../net/platform-fetch.ts";
import { certificateName, createNodeFetchPinned, type NodeDialOptions } from "./dial-node-http.ts";

/**
 * Bun runs at most 256 `fetch` calls of a process at once and queues the rest (BUN_CONFIG_MAX_HTTP_REQUESTS, read at start
 * only). Past this number calls go through `node:https`, which has no such limit, so that hanging targets leave the queue to others.
 */
const MAX_FETCHES = 192;

/** What Bun's `fetch` takes beside the standard; declared here, because this file is also checked where Bun's types are not. */
interface BunRequestInit extends RequestInit {
  readonly decompress: boolean;
  readonly proxy: false;
  tls?: BunTls;
}

interface BunTls {
  readonly rejectUnauthorized: true;
  readonly serverName?: string;
  readonly ca?: string;
}

declare const Bun: { readonly dns: { lookup(host: string): Promise<readonly { readonly address: string }[]> } };

/** What of a call depends on its target alone. */
interface Pin {
  readonly address: string;
  readonly url: string;
  readonly host: string;
  readonly tls: BunTls | undefined;
}

function planTls(url: URL, ca: string | undefined): BunTls | undefined {
  if (url.protocol !== "https:") return undefined;
  const serverName = certificateName(url);
  return {
    // Said here, because NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment must not switch the check off.
    rejectUnauthorized: true,
    ...(serverName === undefined ? {} : { serverName }),
    ...(ca === undefined ? {} : { ca }),
  };
}

function planPin(url: URL, address: string, ca: string | undefined): Pin {
  const literal = address.includes(":") ? `[${address}]` : address;
  const port = url.port === "" ? "" : `:${url.port}`;
  const pinned = `${url.protocol}//${literal}${port}${url.pathname}${url.search}`;
  return { address, url: pinned, host: url.host, tls: planTls(url, ca) };
}

function fetchPinned({ url, host, tls }: Pin, init: DialInit): Promise<Response> {
  init.headers["host"] = host;
  const options: BunRequestInit = {
    method: init.method,
    headers: init.headers,
    signal: init.signal,
    redirect: "manual",
    decompress: init.decompress,
    // HTTP_PROXY and its kin would connect to wherever the proxy resolves the target, and hand it the request.
    proxy: false,
  };
  if (tls) options.tls = tls;
  if (init.body !== undefined) options.body = init.body as BodyInit;
  return platformFetch(url, options);
}

/** Creates the dialer. Names are resolved by c-ares where Bun has it, so that a slow name server does not hold a thread. */
export function createBunDialer(options: NodeDialOptions = {}): Dialer {
  const fetchCrowded = createNodeFetchPinned(options);
  // A busy target is the same URL object call after call.
  const pins = new WeakMap<URL, Pin>();
  const pinOf = (url: URL, address: string): Pin => {
    const known = pins.get(url);
    if (known?.address === address) return known;
    const pin = planPin(url, address, options.ca);
    pins.set(url, pin);
    return pin;
  };
  return {
    async resolve(host) {
      const answers = await Bun.dns.lookup(host);
      return answers.map(({ address }) => address);
    },
    fetchPinned: (url, address, init) =>
      init.inFlight > MAX_FETCHES ? fetchCrowded(url, address, init) : fetchPinned(pinOf(url, address), init),
  };
}
