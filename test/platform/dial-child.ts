// A process of its own for tests of what the environment may change: sends one call to each URL of argv and prints the
// outcomes as JSON, after one plain `fetch` that shows whether the environment has any effect at all.
import { createSystemClock } from "../../src/core/clock.ts";
import type { Dialer } from "../../src/net/dialer.ts";
import { createGuard } from "../../src/net/guard.ts";
import { createGuardedClient } from "../../src/net/guarded-client.ts";
import { authority } from "../net/loopback-server.ts";

async function openDialer(kind: string, ca: string | undefined): Promise<Dialer> {
  const options = ca === undefined ? {} : { ca };
  if (kind === "deno") return (await import("../../src/platform/dial-deno.ts")).createDenoDialer(options);
  return (await import("../../src/platform/dial-bun.ts")).createBunDialer(options);
}

const [kind = "bun", trust, controlUrl = "", ...urls] = process.argv.slice(2);
const dialer = await openDialer(kind, trust === "trusted" ? authority : undefined);
const control = await fetch(controlUrl)
  .then((response) => response.text())
  .catch(() => "failed");

const outcomes: string[] = [];
for (const inFlight of [1, 10_000]) {
  const pinned: Dialer = {
    resolve: async () => ["127.0.0.1"],
    fetchPinned: (url, address, init) => dialer.fetchPinned(url, address, { ...init, inFlight }),
  };
  const client = createGuardedClient({
    guard: createGuard({ loopback: "allow" }),
    dialer: pinned,
    clock: createSystemClock(),
  });
  for (const url of urls) {
    const outcome = await client.send({ method: "POST", url, headers: {}, body: "{}", timeoutMs: 5000 });
    outcomes.push(outcome.kind === "response" ? new TextDecoder().decode(outcome.body) : outcome.code);
  }
}
console.log(JSON.stringify({ control, outcomes }));
process.exit(0);
