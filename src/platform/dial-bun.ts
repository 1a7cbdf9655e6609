// Outbound connections on Bun: `fetch` to the literal address with the name in `Host` and in the TLS server name, which is
// also the name that the certificate must be for. Connections are pooled by address and server name.
import type { Dialer, DialInit } from "../net/dialer.ts";
import { certificateName, createNodeFetchPinned, type NodeDialOptions } from "./dial-node-http.ts";

/**
 * Bun runs at most 256 `fetch` calls of a process at once and queues the rest (BUN_CONFIG_MAX_HTTP_REQUESTS, read at start
 * only). Past this number calls go through `node:https`, which has no such limit, so that hanging targets leave the queue to others.
 */
const MAX_FETCHES = 192;

function tlsOptions(url: URL, ca: string | undefined): BunFetchRequestInit {
  if (url.protocol !== "https:") return {};
  const serverName = certificateName(url);
  return {
    tls: {
      // Said here, because NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment must not switch the check off.
      rejectUnauthorized: true,
      ...(serverName === undefined ? {} : { serverName }),
      ...(ca === undefined ? {} : { ca }),
    },
  };
}

/** The URL with the address in place of the name. */
function pinnedUrl(url: URL, address: string): string {
  const host = address.includes(":") ? `[${address}]` : address;
  const port = url.port === "" ? "" : `:${url.port}`;
  return `${url.protocol}//${host}${port}${url.pathname}${url.search}`;
}

function fetchPinned(url: URL, address: string, init: DialInit, ca: string | undefined): Promise<Response> {
  return fetch(pinnedUrl(url, address), {
    method: init.method,
    headers: { ...init.headers, host: url.host },
    signal: init.signal,
    redirect: "manual",
    decompress: init.decompress,
    // HTTP_PROXY and its kin would connect to wherever the proxy resolves the target, and hand it the request.
    proxy: false,
    ...tlsOptions(url, ca),
    ...(init.body === undefined ? {} : { body: init.body as BodyInit }),
  });
}

/** Creates the dialer. Names are resolved by c-ares where Bun has it, so that a slow name server does not hold a thread. */
export function createBunDialer(options: NodeDialOptions = {}): Dialer {
  const fetchCrowded = createNodeFetchPinned(options);
  return {
    async resolve(host) {
      const answers = await Bun.dns.lookup(host);
      return answers.map(({ address }) => address);
    },
    fetchPinned: (url, address, init) =>
      init.inFlight > MAX_FETCHES ? fetchCrowded(url, address, init) : fetchPinned(url, address, init, options.ca),
  };
}
