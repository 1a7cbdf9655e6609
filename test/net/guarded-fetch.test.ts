// The guarded fetch without a network: a fetch in all but where it may go.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createVirtualClock } from "../../src/core/clock.ts";
import { createGuard } from "../../src/net/guard.ts";
import { createGuardedFetch } from "../../src/net/guarded-fetch.ts";
import { createFakeDialer, type FakeAnswer, hangingBody } from "./fake-dialer.ts";

const A = "8.8.8.8";
const B = "1.1.1.1";

function open(
  addresses: Readonly<Record<string, FakeAnswer>>,
  names: Readonly<Record<string, readonly (readonly string[])[]>> = {},
) {
  const dialer = createFakeDialer({ addresses, names });
  return { dialer, fetch: createGuardedFetch({ guard: createGuard(), dialer, clock: createVirtualClock() }) };
}

function redirect(status: number, location: string): () => Response {
  return () => new Response("moved", { status, headers: { location } });
}

describe("createGuardedFetch()", () => {
  it("is a fetch: response, logical address, request body and headers", async () => {
    const { fetch, dialer } = open({ [A]: () => Response.json({ ok: true }) }, { "api.example": [[A]] });
    const response = await fetch("https://api.example/v1?q=1#top", {
      method: "post",
      body: JSON.stringify({ a: 1 }),
      headers: { "X-Key": "k" },
    });
    assert.deepEqual(await response.json(), { ok: true });
    assert.deepEqual([response.url, response.redirected], ["https://api.example/v1?q=1", false]);
    const init = dialer.dials[0]!.init;
    assert.deepEqual([init.method, init.headers["x-key"], init.decompress], ["POST", "k", true]);
    assert.equal(new TextDecoder().decode(init.body as Uint8Array), '{"a":1}');
  });

  it("takes a Request as well", async () => {
    const { fetch, dialer } = open({ [A]: () => new Response("") });
    await fetch(new Request(`http://${A}/`, { method: "PUT", body: "x" }));
    assert.equal(dialer.dials[0]!.init.method, "PUT");
  });

  it("rejects with NET_BLOCKED", async () => {
    const { fetch, dialer } = open({}, { "inner.example": [["10.0.0.1"]] });
    for (const url of [
      "http://127.0.0.1/",
      "http://localhost/",
      "file:///etc/passwd",
      "http://inner.example/",
      "data:,x",
    ]) {
      await assert.rejects(fetch(url), { code: "NET_BLOCKED" }, url);
    }
    assert.deepEqual(dialer.dials, []);
  });

  it("rejects with the failure's code", async () => {
    const { fetch } = open({});
    await assert.rejects(fetch(`http://${A}/`), { code: "NET_CONNECT" });
    await assert.rejects(fetch("http://nowhere.example/"), { code: "NET_DNS" });
  });

  it("judges every hop of a redirect", async () => {
    const targets = [
      "http://169.254.169.254/latest",
      "http://inner.example/",
      "file:///etc/passwd",
      "http://u:p@1.1.1.1/",
    ];
    for (const target of targets) {
      const { fetch, dialer } = open({ [A]: redirect(302, target) }, { "inner.example": [["127.0.0.1"]] });
      await assert.rejects(fetch(`http://${A}/`), { code: "NET_BLOCKED" }, target);
      assert.equal(dialer.dials.length, 1);
    }
  });

  it("resolves a relative redirect against the name, not the address", async () => {
    const answer: FakeAnswer = (url) => (url.pathname === "/end" ? new Response("end") : redirect(302, "/end")());
    const { fetch, dialer } = open({ [A]: answer }, { "api.example": [[A]] });
    const response = await fetch("https://api.example/start");
    assert.deepEqual([response.url, response.redirected], ["https://api.example/end", true]);
    assert.deepEqual(
      dialer.dials.map(({ url }) => url),
      ["https://api.example/start", "https://api.example/end"],
    );
  });

  it("leaves credentials behind when the origin changes, and only then", async () => {
    const headers = { Authorization: "Bearer t", Cookie: "c=1", "X-Own": "1" };
    const within = open({ [A]: (url) => (url.pathname === "/2" ? new Response("") : redirect(307, "/2")()) });
    await within.fetch(`http://${A}/1`, { headers });
    assert.equal(within.dialer.dials[1]!.init.headers["authorization"], "Bearer t");
    const across = open({ [A]: redirect(307, `http://${B}/`), [B]: () => new Response("") });
    await across.fetch(`http://${A}/`, { headers });
    const sent = across.dialer.dials[1]!.init.headers;
    assert.deepEqual([sent["authorization"], sent["cookie"], sent["x-own"]], [undefined, undefined, "1"]);
    const downgraded = open({
      [A]: (url) => (url.protocol === "http:" ? new Response("") : redirect(302, `http://${A}/`)()),
    });
    await downgraded.fetch(`https://${A}/`, { headers });
    assert.equal(downgraded.dialer.dials[1]!.init.headers["authorization"], undefined);
  });

  for (const [status, method, expected] of [
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [302, "PUT", "PUT"],
    [303, "PUT", "GET"],
    [303, "HEAD", "HEAD"],
    [307, "POST", "POST"],
    [308, "PATCH", "PATCH"],
  ] as const) {
    it(`turns ${method} into ${expected} on ${status}`, async () => {
      const { fetch, dialer } = open({ [A]: redirect(status, `http://${B}/`), [B]: () => new Response("") });
      await fetch(`http://${A}/`, { method, ...(method === "HEAD" ? {} : { body: "text" }) });
      const { init } = dialer.dials[1]!;
      assert.equal(init.method, expected);
      assert.equal(init.body !== undefined, expected === method && method !== "HEAD");
      if (expected !== method) assert.equal(init.headers["content-type"], undefined);
    });
  }

  it("follows 20 redirects and not one more", async () => {
    const chain =
      (length: number): FakeAnswer =>
      (url) => {
        const step = Number(url.pathname.slice(1));
        return step === length ? new Response("end") : redirect(302, `/${step + 1}`)();
      };
    const { fetch } = open({ [A]: chain(20), [B]: chain(21) });
    assert.equal(await (await fetch(`http://${A}/0`)).text(), "end");
    await assert.rejects(fetch(`http://${B}/0`), { code: "NET_PROTOCOL" });
  });

  it("obeys the redirect option", async () => {
    const { fetch, dialer } = open({ [A]: redirect(302, "http://127.0.0.1/") });
    const response = await fetch(`http://${A}/`, { redirect: "manual" });
    assert.deepEqual([response.status, response.headers.get("location")], [302, "http://127.0.0.1/"]);
    await assert.rejects(fetch(`http://${A}/`, { redirect: "error" }), { code: "NET_PROTOCOL" });
    assert.equal(dialer.dials.length, 2);
  });

  it("sends a stream once", async () => {
    const stream = (): ReadableStream => new Response("streamed").body!;
    const { fetch } = open({
      [A]: redirect(307, `http://${B}/`),
      [B]: async (_url, { body }) => new Response(await new Response(body as ReadableStream).text()),
    });
    const init = (): RequestInit => ({ method: "POST", body: stream(), duplex: "half" }) as RequestInit;
    assert.equal(await (await fetch(`http://${B}/`, init())).text(), "streamed");
    await assert.rejects(fetch(`http://${A}/`, init()), { code: "NET_REQUEST_INVALID" });
  });

  it("rejects with the caller's reason when it aborts", async () => {
    const { fetch } = open({ [A]: () => new Promise<never>(() => undefined) });
    const reason = new Error("enough");
    await assert.rejects(fetch(`http://${A}/`, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const call = fetch(`http://${A}/`, { signal: controller.signal });
    queueMicrotask(() => controller.abort(reason));
    await assert.rejects(call, reason);
  });

  it("streams the body as it comes", async () => {
    const hanging = hangingBody("first");
    const { fetch } = open({ [A]: () => new Response(hanging.body) });
    const reader = (await fetch(`http://${A}/`)).body!.getReader();
    assert.equal(new TextDecoder().decode((await reader.read()).value), "first");
    await reader.cancel();
    await hanging.cancelled;
  });
});
