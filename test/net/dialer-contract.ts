// What every platform's dialer has to do, with real sockets: one function that each dialer's test file calls.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { createSystemClock } from "../../src/core/clock.ts";
import type { Dialer } from "../../src/net/dialer.ts";
import { createGuard } from "../../src/net/guard.ts";
import { createGuardedClient, type OutboundOutcome, type OutboundRequest } from "../../src/net/guarded-client.ts";
import { createGuardedFetch } from "../../src/net/guarded-fetch.ts";
import {
  authority,
  listenHttp,
  listenHttps,
  listenRaw,
  listenText,
  type LoopbackServer,
  readText,
  refusedPort,
  writeForever,
} from "./loopback-server.ts";

const TIMEOUT_MS = 400;
/** What a bounded call may take in all on a slow machine. */
const PATIENCE_MS = 3000;

type CreateDialer = (options: { readonly ca?: string }) => Dialer;

function open(dialer: Dialer, answer: readonly string[] = ["127.0.0.1"], loopback: "allow" | "refuse" = "allow") {
  const lookups: string[] = [];
  const resolve = async (host: string): Promise<readonly string[]> => {
    lookups.push(host);
    return answer;
  };
  const options = { guard: createGuard({ loopback }), dialer: { ...dialer, resolve }, clock: createSystemClock() };
  const client = createGuardedClient(options);
  const send = (url: string, more: Partial<OutboundRequest> = {}): Promise<OutboundOutcome> =>
    client.send({ method: "POST", url, headers: {}, body: "{}", timeoutMs: PATIENCE_MS, ...more });
  return { client, send, lookups, fetch: createGuardedFetch(options) };
}

function codeOf(outcome: OutboundOutcome): string {
  return outcome.kind === "response" ? String(outcome.status) : outcome.code;
}

function textOf(outcome: OutboundOutcome): string {
  assert.equal(outcome.kind, "response", JSON.stringify(outcome));
  return outcome.kind === "response" ? new TextDecoder().decode(outcome.body) : "";
}

function describeRequests(createDialer: CreateDialer): void {
  it("sends the name, the path and the body to the address", async () => {
    await using server = await listenHttp(async (request, response) => {
      const { method, url, headers } = request;
      const seen = {
        method,
        url,
        host: headers.host,
        type: headers["content-type"],
        length: headers["content-length"],
      };
      response.end(JSON.stringify({ ...seen, agent: headers["user-agent"], body: await readText(request) }));
    });
    const { send, lookups } = open(createDialer({}));
    const url = `http://hooks.pylon.test:${server.port}/a%20b/?q=%2F&x=1#fragment`;
    const outcome = await send(url, { body: "é", headers: { "Content-Type": "application/json" } });
    assert.deepEqual(JSON.parse(textOf(outcome)), {
      method: "POST",
      url: "/a%20b/?q=%2F&x=1",
      host: `hooks.pylon.test:${server.port}`,
      type: "application/json",
      length: "2",
      agent: "Pylon",
      body: "é",
    });
    assert.deepEqual(lookups, ["hooks.pylon.test"]);
  });

  it("sends bytes, and no body", async () => {
    await using server = await listenHttp(async (request, response) => {
      response.end(`${request.method}:${await readText(request)}`);
    });
    const url = `http://127.0.0.1:${server.port}/`;
    const { client, send } = open(createDialer({}));
    assert.equal(textOf(await send(url, { body: Uint8Array.of(104, 105) })), "POST:hi");
    assert.equal(textOf(await client.send({ method: "GET", url, headers: {} })), "GET:");
    assert.equal(textOf(await client.send({ method: "HEAD", url, headers: {} })), "");
  });

  it("keeps the connection for the next call", async () => {
    await using server = await listenHttp((_request, response) => response.end("ok"));
    const { send } = open(createDialer({}));
    for (let turn = 0; turn < 5; turn++) assert.equal(textOf(await send(`http://a.test:${server.port}/`)), "ok");
    assert.equal(server.connections(), 1);
  });

  it("gives statuses as they are and follows no redirect", async () => {
    await using target = await listenHttp((_request, response) => response.end("private"));
    await using server = await listenHttp((request, response) => {
      const status = Number(request.url?.slice(1));
      response.writeHead(status, { location: `http://127.0.0.1:${target.port}/` }).end();
    });
    const { send } = open(createDialer({}));
    for (const status of [200, 204, 301, 302, 304, 307, 308, 404, 410, 429, 500, 599]) {
      assert.equal(codeOf(await send(`http://a.test:${server.port}/${status}`)), String(status));
    }
    assert.equal(target.connections(), 0);
  });

  it("gives a compressed answer as it came", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    await using server = await listenHttp((request, response) => {
      response
        .writeHead(200, { "content-encoding": "gzip", "x-asked": request.headers["accept-encoding"] ?? "" })
        .end(bomb);
    });
    const outcome = await open(createDialer({})).send(`http://127.0.0.1:${server.port}/`);
    assert.ok(outcome.kind === "response");
    assert.deepEqual([outcome.headers.get("content-encoding"), outcome.headers.get("x-asked")], ["gzip", "identity"]);
    assert.deepEqual(Buffer.from(outcome.body), bomb.subarray(0, 16_384));
    assert.equal(outcome.truncated, true);
  });

  it("passes over interim answers", async () => {
    await using server = await listenText(
      "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert.equal(textOf(await open(createDialer({})).send(`http://127.0.0.1:${server.port}/`)), "ok");
  });
}

function describePinning(createDialer: CreateDialer): void {
  it("connects to no address that was not checked, whatever the name means by then", async () => {
    await using server = await listenHttp((_request, response) => response.end("private"));
    const dialer = createDialer({});
    const dialled: string[] = [];
    // Stands for an address on the internet: what is dialled is recorded and sent to nobody.
    const recording: Dialer = {
      ...dialer,
      fetchPinned: async (_url, address) => {
        dialled.push(address);
        throw Object.assign(new Error("nobody"), { code: "ECONNREFUSED" });
      },
    };
    // `localhost` and 127.0.0.1 answer on this port, so a second lookup by the platform would reach the server.
    const { send } = open(recording, ["93.184.215.14"], "refuse");
    assert.equal(codeOf(await send(`http://rebind.test:${server.port}/`)), "NET_CONNECT");
    assert.deepEqual(dialled, ["93.184.215.14"]);
    assert.equal(server.connections(), 0);
  });

  it("looks no name up by itself", async () => {
    await using server = await listenHttp((request, response) => response.end(request.headers.host));
    // The name exists nowhere; only the pinned address makes this answer.
    const { send } = open(createDialer({}));
    assert.equal(
      textOf(await send(`http://no-such-name.invalid:${server.port}/`)),
      `no-such-name.invalid:${server.port}`,
    );
  });

  it("goes on to the next address when one refuses", async () => {
    await using server = await listenHttp((_request, response) => response.end("ok"));
    const { send } = open(createDialer({}), ["::1", "127.0.0.1"]);
    assert.equal(textOf(await send(`http://a.test:${server.port}/`)), "ok");
  });

  it("refuses private addresses before it connects", async () => {
    await using server = await listenHttp((_request, response) => response.end("private"));
    const { send } = open(createDialer({}), ["93.184.215.14", "127.0.0.1"], "refuse");
    for (const host of ["a.test", "127.0.0.1", "localhost", "[::ffff:7f00:1]", "2130706433"]) {
      assert.equal(codeOf(await send(`http://${host}:${server.port}/`)), "NET_BLOCKED", host);
    }
    assert.equal(server.connections(), 0);
  });

  it("resolves names of this machine", async () => {
    const addresses = await createDialer({}).resolve("localhost");
    assert.ok(addresses.includes("127.0.0.1") || addresses.includes("::1"));
    await assert.rejects(createDialer({}).resolve("no-such-name.invalid"));
  });
}

function describeTls(createDialer: CreateDialer): void {
  it("checks the certificate for the name, not for the address", async () => {
    await using server = await listenHttps("hooks", (request, response) => response.end(request.headers.host));
    const { send } = open(createDialer({ ca: authority }));
    const host = `hooks.pylon.test:${server.port}`;
    assert.equal(textOf(await send(`https://${host}/`)), host);
    assert.equal(codeOf(await send(`https://other.pylon.test:${server.port}/`)), "NET_TLS");
    assert.equal(codeOf(await send(`https://127.0.0.1:${server.port}/`)), "NET_TLS");
    // The trailing dot belongs to the host as written and not to the certificate's name.
    assert.equal(textOf(await send(`https://hooks.pylon.test.:${server.port}/`)), `hooks.pylon.test.:${server.port}`);
  });

  it("checks an address that is the host itself", async () => {
    await using server = await listenHttps("loopback", (_request, response) => response.end("ok"));
    const { send } = open(createDialer({ ca: authority }));
    assert.equal(textOf(await send(`https://127.0.0.1:${server.port}/`)), "ok");
    assert.equal(codeOf(await send(`https://hooks.pylon.test:${server.port}/`)), "NET_TLS");
  });

  it("does not lend one name's connection to another name at the same address", async () => {
    await using server = await listenHttps("hooks", (_request, response) => response.end("ok"));
    const { send } = open(createDialer({ ca: authority }));
    for (let turn = 0; turn < 3; turn++) {
      assert.equal(textOf(await send(`https://hooks.pylon.test:${server.port}/`)), "ok");
      assert.equal(codeOf(await send(`https://evil.pylon.test:${server.port}/`)), "NET_TLS");
    }
  });

  it("trusts no certificate by default that the system does not", async () => {
    await using server = await listenHttps("hooks", (_request, response) => response.end("ok"));
    const { send } = open(createDialer({}));
    assert.equal(codeOf(await send(`https://hooks.pylon.test:${server.port}/`)), "NET_TLS");
  });

  it("says NET_TLS for a server that does not speak it", async () => {
    await using server = await listenText("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    assert.equal(codeOf(await open(createDialer({})).send(`https://a.test:${server.port}/`)), "NET_TLS");
  });
}

function describeBrokenServers(createDialer: CreateDialer): void {
  it("says NET_CONNECT for a port that refuses", async () => {
    const outcome = await open(createDialer({})).send(`http://a.test:${await refusedPort()}/?token=hidden`);
    assert.ok(outcome.kind === "failed");
    assert.equal(outcome.code, "NET_CONNECT");
    assert.doesNotMatch(outcome.message, /hidden|127\.0|a\.test/);
  });

  const answers: readonly (readonly [
    string,
    string,
    (server: Parameters<Parameters<typeof listenRaw>[0]>[0]) => void,
  ])[] = [
    ["a reset", "NET_RESET", (socket) => socket.resetAndDestroy()],
    ["an end before the headers", "NET_RESET", (socket) => socket.end()],
    ["an end in the headers", "NET_RESET", (socket) => socket.end("HTTP/1.1 200 OK\r\nX-A: ")],
    ["another protocol", "NET_PROTOCOL", (socket) => socket.write("SSH-2.0-OpenSSH_9.9\r\n\r\n")],
    ["an impossible status", "NET_PROTOCOL", (socket) => socket.write("HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n")],
    [
      "an unasked upgrade",
      "NET_PROTOCOL",
      (socket) => socket.write("HTTP/1.1 101 No\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"),
    ],
  ];
  for (const [what, code, act] of answers) {
    it(`says ${code} for ${what}`, async () => {
      await using server = await listenRaw(act);
      assert.equal(codeOf(await open(createDialer({})).send(`http://a.test:${server.port}/`)), code);
    });
  }

  const cuts: typeof slow = [
    [
      "an end in the body",
      (socket) => socket.write("HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nabc", () => socket.end()),
    ],
    [
      "a reset in the body",
      (socket) => socket.write("HTTP/1.1 503 No\r\nContent-Length: 99999\r\n\r\nabc", () => socket.resetAndDestroy()),
    ],
    [
      "an end in a chunk",
      (socket) => socket.write("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", () => socket.end()),
    ],
  ];
  for (const [what, act] of cuts) {
    it(`gives the answer before ${what}`, async () => {
      await using server = await listenRaw(act);
      const outcome = await open(createDialer({})).send(`http://a.test:${server.port}/`);
      assert.ok(outcome.kind === "response", codeOf(outcome));
      assert.deepEqual([outcome.status, outcome.truncated], [503, true]);
      await server.closed(1);
    });
  }

  const line = `X-A: ${"a".repeat(1000)}\r\n`;
  const gigantic: readonly (readonly [string, (socket: Parameters<Parameters<typeof listenRaw>[0]>[0]) => void])[] = [
    [
      "a line of 2 MB",
      (socket) => socket.write(`HTTP/1.1 200 OK\r\nX-A: ${"a".repeat(2_000_000)}\r\nContent-Length: 0\r\n\r\n`),
    ],
    [
      "headers without end",
      (socket) => socket.write("HTTP/1.1 200 OK\r\n") && writeForever(socket, line.repeat(50), 1),
    ],
    [
      "a line without end",
      (socket) => socket.write("HTTP/1.1 200 OK\r\nX-A: ") && writeForever(socket, "a".repeat(50_000), 1),
    ],
  ];
  for (const [what, act] of gigantic) {
    it(`refuses ${what}`, async () => {
      await using server = await listenRaw(act);
      const code = codeOf(await open(createDialer({})).send(`http://a.test:${server.port}/`));
      // Bun calls more than 256 lines malformed; either way the answer is refused long before the deadline.
      assert.match(code, /^NET_(RESPONSE_TOO_LARGE|PROTOCOL)$/);
    });
  }

  const slow: readonly (readonly [string, (socket: Parameters<Parameters<typeof listenRaw>[0]>[0]) => void])[] = [
    ["silence", () => undefined],
    ["headers that drip", (socket) => socket.write("HTTP/1.1 200 OK\r\nX-A: ") && writeForever(socket, "a", 20)],
  ];
  for (const [what, act] of slow) {
    it(`gives ${what} no more time than it has, and hangs up`, async () => {
      await using server = await listenRaw(act);
      const outcome = await open(createDialer({})).send(`http://a.test:${server.port}/`, { timeoutMs: TIMEOUT_MS });
      assert.equal(codeOf(outcome), "NET_TIMEOUT");
      assert.ok(outcome.kind === "failed" && outcome.durationMs >= TIMEOUT_MS - 2 && outcome.durationMs < PATIENCE_MS);
      await server.closed(1);
    });
  }

  const slowBodies: typeof slow = [
    [
      "a body that drips",
      (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n") && writeForever(socket, "a", 20),
    ],
    ["a body that stops", (socket) => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nabc")],
    [
      "an endless body that drips",
      (socket) =>
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n") && writeForever(socket, "1\r\na\r\n", 20),
    ],
  ];
  for (const [what, act] of slowBodies) {
    it(`gives ${what} no more time than it has, and hangs up: its status has come`, async () => {
      await using server = await listenRaw(act);
      const outcome = await open(createDialer({})).send(`http://a.test:${server.port}/`, { timeoutMs: TIMEOUT_MS });
      assert.ok(outcome.kind === "response", codeOf(outcome));
      assert.deepEqual([outcome.status, outcome.truncated], [200, true]);
      assert.ok(outcome.durationMs >= TIMEOUT_MS - 2 && outcome.durationMs < PATIENCE_MS);
      await server.closed(1);
    });
  }

  it("gives a TLS handshake no more time than it has", async () => {
    await using server = await listenRaw(() => undefined);
    const outcome = await open(createDialer({})).send(`https://a.test:${server.port}/`, { timeoutMs: TIMEOUT_MS });
    assert.equal(codeOf(outcome), "NET_TIMEOUT");
    await server.closed(1);
  });

  it("reads the beginning of an endless body and hangs up", async () => {
    await using server = await listenRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      writeForever(socket, `10000\r\n${"x".repeat(65_536)}\r\n`, 1);
    });
    const outcome = await open(createDialer({})).send(`http://a.test:${server.port}/`, { keepBytes: 1024 });
    assert.ok(outcome.kind === "response");
    assert.deepEqual([outcome.body.length, outcome.truncated], [1024, true]);
    await server.closed(1);
  });

  it("does not believe a length that stands beside a transfer coding", async () => {
    await using server = await listenRaw((socket) => {
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n");
      writeForever(socket, `10000\r\n${"x".repeat(65_536)}\r\n`, 1);
    });
    const outcome = await open(createDialer({})).send(`http://a.test:${server.port}/`);
    // Either the answer is refused as a smuggling attempt, or its real body is bounded.
    if (outcome.kind === "response") assert.deepEqual([outcome.body.length, outcome.truncated], [16_384, true]);
    else assert.equal(codeOf(outcome), "NET_PROTOCOL");
    await server.closed(1);
  });

  it("hangs up when the caller aborts", async () => {
    await using server: LoopbackServer = await listenRaw(() => controller.abort());
    const controller = new AbortController();
    const outcome = await open(createDialer({})).send(`http://a.test:${server.port}/`, { signal: controller.signal });
    assert.equal(codeOf(outcome), "NET_ABORTED");
    await server.closed(1);
  });
}

function describeFetch(createDialer: CreateDialer): void {
  it("undoes content encodings, follows redirects by name and streams", async () => {
    await using server = await listenHttp((request, response) => {
      if (request.url === "/start") return response.writeHead(302, { location: "/end" }).end();
      response
        .writeHead(200, { "content-encoding": "gzip", "x-host": request.headers.host ?? "" })
        .end(gzipSync("plain text"));
    });
    const response = await open(createDialer({})).fetch(`http://api.test:${server.port}/start`);
    assert.equal(await response.text(), "plain text");
    assert.equal(response.url, `http://api.test:${server.port}/end`);
    assert.equal(response.redirected, true);
    assert.equal(response.headers.get("x-host"), `api.test:${server.port}`);
  });

  it("sends streams", async () => {
    await using server = await listenHttp(async (request, response) => response.end(await readText(request)));
    const body = new Response("streamed").body!;
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    assert.equal(
      await (await open(createDialer({})).fetch(`http://api.test:${server.port}/`, init)).text(),
      "streamed",
    );
  });

  it("does not follow a redirect to a private address", async () => {
    await using target = await listenHttp((_request, response) => response.end("private"));
    await using server = await listenHttp((_request, response) => {
      response.writeHead(302, { location: `http://169.254.169.254:${target.port}/` }).end();
    });
    await assert.rejects(open(createDialer({})).fetch(`http://127.0.0.1:${server.port}/`), { code: "NET_BLOCKED" });
    assert.equal(target.connections(), 0);
  });

  it("hangs up when the caller cancels the body or aborts", async () => {
    await using server = await listenRaw((socket) =>
      socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nabc"),
    );
    const { fetch } = open(createDialer({}));
    await (await fetch(`http://127.0.0.1:${server.port}/`)).body?.cancel();
    await server.closed(1);
    const controller = new AbortController();
    const response = await fetch(`http://127.0.0.1:${server.port}/`, { signal: controller.signal });
    controller.abort();
    await assert.rejects(response.text());
    await server.closed(2);
  });
}

/** Declares the tests of one dialer. */
export function describeDialer(name: string, createDialer: CreateDialer): void {
  describe(`${name}: requests`, () => describeRequests(createDialer));
  describe(`${name}: pinning`, () => describePinning(createDialer));
  describe(`${name}: TLS`, () => describeTls(createDialer));
  describe(`${name}: broken servers`, () => describeBrokenServers(createDialer));
  describe(`${name}: guarded fetch`, () => describeFetch(createDialer));
}
