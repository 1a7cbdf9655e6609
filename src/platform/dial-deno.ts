// Outbound connections on Deno: the system's resolver and `node:https`, whose connections can be sent to a checked address
// while the certificate is checked for the name. Deno's own `fetch` resolves names by itself and cannot be used here.
import { lookup } from "node:dns/promises";
import type { Dialer } from "../net/dialer.ts";
import { createNodeFetchPinned, type NodeDialOptions } from "./dial-node-http.ts";

/** Creates the dialer. Connections are kept for 30 s after their last use. */
export function createDenoDialer(options: NodeDialOptions = {}): Dialer {
  return {
    async resolve(host) {
      const answers = await lookup(host, { all: true });
      return answers.map(({ address }) => address);
    },
    fetchPinned: createNodeFetchPinned(options),
  };
}
