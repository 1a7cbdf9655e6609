// The client without a network, on virtual time: every ending is a value and nothing outlives its deadline.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createVirtualClock } from "../../src/core/clock.ts";
import { createGuard } from "../../src/net/guard.ts";
import { createGuardedClient, type GuardedClientOptions, type OutboundOutcome } from "../../src/net/guarded-client.ts";
import {
  createFakeDialer,
  type FakeDialer,
  type FakeDialerOptions,
  hangingBody,
  platformError,
} from "./fake-dialer.ts";

const PUBLIC = "8.8.8.8";

function open(table: FakeDialerOptions, options: Partial<GuardedClientOptions> = {}) {
  const dialer = createFakeDialer(table);
  const clock = createVirtualClock();
  return { dialer, clock, client: createGuardedClient({ guard: createGuard(), dialer, clock, ...options }) };
}

const post = (url: string) => ({ method: "POST", url, headers: {}, body: "{}" });

function expectFailure(outcome: OutboundOutcome, code: string): void {
  assert.equal(outcome.kind === "failed" ? outcome.code : outcome.kind, code);
  if (outcome.kind === "failed") assert.doesNotMatch(outcome.message, /hidden|secret|example|8\.8/);
}

function textOf(outcome: OutboundOutcome & { kind: "response" }): string {
  return new TextDecoder().decode(outcome.body);
}

function addressesOf(dialer: FakeDialer): string[] {
  return dialer.dials.map(({ address }) => address);
}

describe("createGuardedClient()", () => {
  it("gives the response of the address that was checked", async () => {
    const { client, dialer } = open({
      names: { "a.example": [[PUBLIC]] },
      addresses: { [PUBLIC]: new Response("done", { status: 202, headers: { "retry-after": "3" } }) },
    });
    const outcome = await client.send(post("https://a.example:8443/hook?x=1#part"));
    assert.ok(outcome.kind === "response");
    assert.deepEqual([outcome.status, outcome.headers.get("retry-after"), outcome.truncated], [202, "3", false]);
    assert.equal(new TextDecoder().decode(outcome.body), "done");
    const [dial] = dialer.dials;
    assert.deepEqual(
      [dial?.url, dial?.address, dial?.init.method],
      ["https://a.example:8443/hook?x=1#part", PUBLIC, "POST"],
    );
    assert.equal(dial?.init.body, "{}");
  });

  it("blocks before any lookup what the URL alone forbids", async () => {
    const { client, dialer } = open({});
    for (const [url, literal] of [
      ["http://127.0.0.1/", true],
      ["http://localhost/", false],
      ["ftp://8.8.8.8/", true],
    ] as const) {
      const outcome = await client.send(post(url));
      assert.ok(outcome.kind === "blocked");
      assert.deepEqual([outcome.code, outcome.literal], ["NET_BLOCKED", literal]);
    }
    assert.deepEqual([dialer.lookups, dialer.dials], [[], []]);
  });

  it("connects to what was checked when the name is rebound afterwards", async () => {
    const { client, dialer, clock } = open({
      names: { "rebind.example": [[PUBLIC], ["127.0.0.1"]] },
      addresses: { [PUBLIC]: () => new Response("public"), "127.0.0.1": () => new Response("private") },
    });
    assert.equal((await client.send(post("http://rebind.example/"))).kind, "response");
    assert.equal((await client.send(post("http://rebind.example/"))).kind, "response");
    assert.deepEqual(dialer.lookups, ["rebind.example"]);
    await clock.advance(5000);
    const outcome = await client.send(post("http://rebind.example/"));
    assert.ok(outcome.kind === "blocked");
    assert.equal(outcome.literal, false);
    assert.deepEqual(addressesOf(dialer), [PUBLIC, PUBLIC]);
  });

  it("refuses a mixed answer without connecting anywhere", async () => {
    const { client, dialer } = open({
      names: { "mixed.example": [[PUBLIC, "10.0.0.1"]] },
      addresses: { [PUBLIC]: new Response("") },
    });
    const outcome = await client.send(post("http://mixed.example/"));
    assert.ok(outcome.kind === "blocked");
    assert.doesNotMatch(outcome.reason, /10\.|8\./);
    assert.deepEqual(dialer.dials, []);
  });

  it("tries three addresses when connecting fails, and no other one when it fails later", async () => {
    const answers = ["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"];
    const refusing = open({ names: { "many.example": [answers] }, addresses: { "1.1.1.4": new Response("late") } });
    expectFailure(await refusing.client.send(post("http://many.example/")), "NET_CONNECT");
    assert.deepEqual(addressesOf(refusing.dialer), answers.slice(0, 3));

    const second = open({ names: { "many.example": [answers] }, addresses: { "1.1.1.2": new Response("ok") } });
    assert.equal((await second.client.send(post("http://many.example/"))).kind, "response");

    const addresses = { "1.1.1.1": platformError("ECONNRESET"), "1.1.1.2": new Response("ok") };
    const broken = open({ names: { "many.example": [answers] }, addresses });
    expectFailure(await broken.client.send(post("http://many.example/")), "NET_RESET");
    assert.deepEqual(addressesOf(broken.dialer), ["1.1.1.1"]);
  });

  it("says NET_DNS for a name without addresses and asks again next time", async () => {
    const { client, dialer } = open({ names: { "empty.example": [[]] } });
    expectFailure(await client.send(post("http://nowhere.example/")), "NET_DNS");
    expectFailure(await client.send(post("http://nowhere.example/")), "NET_DNS");
    expectFailure(await client.send(post("http://empty.example/")), "NET_DNS");
    assert.equal(dialer.lookups.length, 3);
  });

  it("does not follow a redirect", async () => {
    const redirect = new Response(null, { status: 302, headers: { location: "http://127.0.0.1/" } });
    const { client, dialer } = open({ addresses: { [PUBLIC]: redirect } });
    const outcome = await client.send(post(`http://${PUBLIC}/`));
    assert.equal(outcome.kind === "response" && outcome.status, 302);
    assert.equal(dialer.dials.length, 1);
  });

  it("bounds lookup, headers and body by one deadline", async () => {
    const never = new Promise<never>(() => undefined);
    const hanging = hangingBody("HTTP");
    const { client, clock, dialer } = open({
      addresses: { "1.1.1.1": () => never, "1.1.1.2": new Response(hanging.body, { status: 410 }) },
    });
    const resolverHangs = createGuardedClient({
      guard: createGuard(),
      clock,
      dialer: { ...dialer, resolve: () => never },
    });
    const calls = [
      resolverHangs.send(post("http://slow.example/")),
      client.send(post("http://1.1.1.1/")),
      client.send(post("http://1.1.1.2/")),
    ];
    await clock.advance(14_999);
    const { promise: nothing, resolve } = Promise.withResolvers<string>();
    setTimeout(() => resolve("waiting"), 0);
    assert.equal(await Promise.race([...calls, nothing]), "waiting");
    await clock.advance(1);
    const [answered, ...failures] = (await Promise.all(calls)).reverse();
    for (const outcome of failures) {
      expectFailure(outcome, "NET_TIMEOUT");
      assert.equal(outcome.kind === "failed" && outcome.durationMs, 15_000);
    }
    // Its status came in time; the body has come as far as it did.
    assert.ok(answered?.kind === "response");
    assert.deepEqual(
      [answered.status, textOf(answered), answered.truncated, answered.durationMs],
      [410, "HTTP", true, 15_000],
    );
    await hanging.cancelled;
    assert.ok(dialer.dials.every(({ init }) => init.signal.aborted));
    assert.equal(clock.pending, 0);
  });

  it("gives the answer whose body is cut off, with what came of it and no more than is kept", async () => {
    const cut = (): Response => {
      const chunks = ["a".repeat(600), "b".repeat(600)].map((text) => new TextEncoder().encode(text));
      const pull = (controller: ReadableStreamDefaultController<Uint8Array>): void => {
        const chunk = chunks.shift();
        if (chunk) controller.enqueue(chunk);
        else controller.error(platformError("ECONNRESET"));
      };
      return new Response(new ReadableStream({ pull }), { status: 503, headers: { "retry-after": "7" } });
    };
    const { client } = open({ addresses: { [PUBLIC]: cut } });
    for (const [keepBytes, length] of [
      [1024, 1024],
      [5000, 1200],
    ] as const) {
      const outcome = await client.send({ ...post(`http://${PUBLIC}/`), keepBytes });
      assert.ok(outcome.kind === "response");
      assert.deepEqual([outcome.status, outcome.headers.get("retry-after")], [503, "7"]);
      assert.deepEqual([outcome.body.length, outcome.truncated], [length, true]);
    }
  });

  it("does not connect when the lookup answers after the deadline", async () => {
    const { promise: answer, resolve } = Promise.withResolvers<readonly string[]>();
    const { clock, dialer } = open({ addresses: { [PUBLIC]: new Response("") } });
    const client = createGuardedClient({ guard: createGuard(), clock, dialer: { ...dialer, resolve: () => answer } });
    const call = client.send({ ...post("http://slow.example/"), timeoutMs: 100 });
    await clock.advance(100);
    expectFailure(await call, "NET_TIMEOUT");
    resolve([PUBLIC]);
    await clock.advance(1);
    assert.deepEqual(dialer.dials, []);
  });

  it("lets go of a response that comes after the deadline", async () => {
    const hanging = hangingBody("late");
    const { promise: late, resolve } = Promise.withResolvers<Response>();
    const { client, clock } = open({ addresses: { [PUBLIC]: () => late } });
    const call = client.send({ ...post(`http://${PUBLIC}/`), timeoutMs: 100 });
    await clock.advance(100);
    expectFailure(await call, "NET_TIMEOUT");
    resolve(new Response(hanging.body));
    await hanging.cancelled;
  });

  it("ends with NET_ABORTED when the caller aborts, before and during the call", async () => {
    const { client, clock, dialer } = open({ addresses: { [PUBLIC]: () => new Promise<never>(() => undefined) } });
    expectFailure(await client.send({ ...post(`http://${PUBLIC}/`), signal: AbortSignal.abort() }), "NET_ABORTED");
    assert.equal(dialer.dials.length, 0);
    const controller = new AbortController();
    const call = client.send({ ...post(`http://${PUBLIC}/`), signal: controller.signal });
    await clock.advance(1);
    controller.abort();
    expectFailure(await call, "NET_ABORTED");
    assert.equal(clock.pending, 0);
  });

  it("ends with NET_ABORTED when the caller aborts while the body comes: nobody waits for the answer", async () => {
    const hanging = hangingBody("HTTP");
    const { client, clock } = open({ addresses: { [PUBLIC]: new Response(hanging.body) } });
    const controller = new AbortController();
    const call = client.send({ ...post(`http://${PUBLIC}/`), signal: controller.signal });
    await clock.advance(1);
    controller.abort();
    expectFailure(await call, "NET_ABORTED");
    await hanging.cancelled;
    assert.equal(clock.pending, 0);
  });

  it("reads at most 16 KiB and keeps what it is told to", async () => {
    const bodies = { "1.1.1.1": "x".repeat(100_000), "1.1.1.2": "y".repeat(5000), "1.1.1.3": "z".repeat(10) };
    const addresses = Object.fromEntries(Object.entries(bodies).map(([key, body]) => [key, () => new Response(body)]));
    const { client } = open({ addresses });
    const sizes: [number, boolean][] = [];
    for (const address of Object.keys(bodies)) {
      for (const keepBytes of [undefined, 1024]) {
        const request = post(`http://${address}/`);
        const outcome = await client.send(keepBytes === undefined ? request : { ...request, keepBytes });
        assert.ok(outcome.kind === "response");
        sizes.push([outcome.body.length, outcome.truncated]);
      }
    }
    assert.deepEqual(sizes, [
      [16_384, true],
      [1024, true],
      [5000, false],
      [1024, true],
      [10, false],
      [10, false],
    ]);
  });

  it("bounds a body by its declared length, or by reading when that says nothing", async () => {
    const answer = (size: number, headers: Record<string, string>): Response =>
      new Response("x".repeat(size), { headers });
    const cases: readonly (readonly [Response, number, boolean])[] = [
      [answer(2000, { "content-length": "2000" }), 1024, true],
      [answer(1024, { "content-length": "1024" }), 1024, false],
      [answer(50_000, { "content-length": "50000" }), 1024, true],
      [answer(50_000, { "content-length": "5", "transfer-encoding": "chunked" }), 1024, true],
      [answer(50_000, { "content-length": "5, 5" }), 1024, true],
      [answer(3, { "content-length": "-1" }), 3, false],
    ];
    for (const [response, length, truncated] of cases) {
      const { client } = open({ addresses: { [PUBLIC]: response } });
      const outcome = await client.send({ ...post(`http://${PUBLIC}/`), keepBytes: 1024 });
      assert.ok(outcome.kind === "response");
      assert.deepEqual([outcome.body.length, outcome.truncated], [length, truncated]);
    }
  });

  it("lets no header of the caller frame the message or name another host", async () => {
    const { client, dialer } = open({ addresses: { [PUBLIC]: new Response("") } });
    const headers = {
      Host: "127.0.0.1",
      "CONTENT-LENGTH": "1",
      "Transfer-Encoding": "chunked",
      Connection: "upgrade",
      "X-Own": "1",
    };
    await client.send({
      ...post(`http://${PUBLIC}/`),
      headers: { ...headers, "User-Agent": "shop", "Proxy-Authorization": "x" },
    });
    assert.deepEqual(dialer.dials[0]?.init.headers, {
      accept: "*/*",
      "accept-encoding": "identity",
      "user-agent": "shop",
      "x-own": "1",
    });
  });

  it("sends nothing that could become a second header or another kind of request", async () => {
    const { client, dialer } = open({ addresses: { [PUBLIC]: new Response("") } });
    const request = post(`http://${PUBLIC}/`);
    for (const value of ["a\r\nHost: evil", "a\nb", "a\0b", "☃"]) {
      expectFailure(await client.send({ ...request, headers: { "x-a": value } }), "NET_REQUEST_INVALID");
    }
    for (const name of ["x a", "x:a", "", "x\r\n"]) {
      expectFailure(await client.send({ ...request, headers: { [name]: "1" } }), "NET_REQUEST_INVALID");
    }
    for (const method of ["CONNECT", "trace", "GET / HTTP/1.1\r\n", ""]) {
      expectFailure(await client.send({ ...request, method }), "NET_REQUEST_INVALID");
    }
    assert.deepEqual(dialer.dials, []);
  });

  it("tells the dialer how many calls are under way", async () => {
    const { promise: gate, resolve } = Promise.withResolvers<Response>();
    const { client, dialer } = open({ addresses: { "1.1.1.1": () => gate, [PUBLIC]: () => new Response("") } });
    const waiting = [client.send(post("http://1.1.1.1/")), client.send(post("http://1.1.1.1/"))];
    await client.send(post(`http://${PUBLIC}/`));
    resolve(new Response(null));
    await Promise.all(waiting);
    await client.send(post(`http://${PUBLIC}/`));
    assert.deepEqual(
      dialer.dials.map(({ init }) => init.inFlight),
      [1, 2, 3, 1],
    );
  });
});
