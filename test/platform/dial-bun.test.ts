// Bun's dialer against the dialer contract and a hostile environment, and what only Bun needs: room for a crowd.
import { describe, expect, it } from "bun:test";
import { createSystemClock } from "../../src/core/clock.ts";
import { createGuard } from "../../src/net/guard.ts";
import { createGuardedClient } from "../../src/net/guarded-client.ts";
import { createBunDialer } from "../../src/platform/dial-bun.ts";
import { describeDialer } from "../net/dialer-contract.ts";
import { authority, listenHttps, listenRaw } from "../net/loopback-server.ts";
import { describeDialerEnvironment } from "./dialer-environment.ts";

describeDialer("createBunDialer()", createBunDialer);
describeDialerEnvironment("createBunDialer()", "bun");

function open() {
  const dialer = { ...createBunDialer({ ca: authority }), resolve: async () => ["127.0.0.1"] };
  return createGuardedClient({ guard: createGuard({ loopback: "allow" }), dialer, clock: createSystemClock() });
}

describe("createBunDialer(): a crowd", () => {
  it("answers one call while 400 others hang, although Bun runs 256 fetches at once", async () => {
    const { promise: allArrived, resolve } = Promise.withResolvers<void>();
    let arrived = 0;
    await using hanging = await listenRaw(() => {
      if (++arrived === 400) resolve();
    });
    await using quick = await listenHttps("hooks", (_request, response) => response.end("quick"));
    const client = open();
    const controller = new AbortController();
    const { signal } = controller;
    const call = { method: "POST", headers: {}, body: "{}", signal };
    const waiting = Array.from({ length: 400 }, () =>
      client.send({ ...call, url: `http://slow.test:${hanging.port}/` }),
    );
    await allArrived;
    const outcome = await client.send({ ...call, url: `https://hooks.pylon.test:${quick.port}/`, timeoutMs: 3000 });
    expect(outcome).toMatchObject({ kind: "response", status: 200 });
    controller.abort();
    const outcomes = await Promise.all(waiting);
    expect(outcomes.every((each) => each.kind === "failed" && each.code === "NET_ABORTED")).toBe(true);
    // Nothing of the crowd is left: a plain fetch finds its place.
    await hanging.closed(400);
    expect(await fetch(`data:text/plain,free`).then((response) => response.text())).toBe("free");
  });
});
