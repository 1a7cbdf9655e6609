// Deliveries over real connections: to a receiver that verifies with the reference libraries, and to receivers that are slow,
// endless, gigantic, untrusted or not there. Each ends as a coded attempt, and nobody else notices.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setInterval, setTimeout, clearInterval } from "node:timers";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { type AppOptions, type TestApp, withApp } from "../app-harness.ts";
import { createSystemClock } from "../../../src/core/clock.ts";
import type { Dialer } from "../../../src/net/dialer.ts";
import { attemptsOf, type AttemptRow, createEndpoint, customers } from "./customers.ts";

const FIXTURES = join(import.meta.dirname, "../../../fixtures/tls");

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

interface Receiver {
  readonly url: string;
  close(): void;
}

async function listen(server: Server & { closeAllConnections(): void }, scheme: string): Promise<Receiver> {
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://127.0.0.1:${port}/`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** An application in `dev`, whose deliveries reach this machine over real connections. */
async function withReceivers(
  handles: readonly Handle[],
  use: (app: TestApp, urls: readonly string[], dispatch: () => Promise<string>) => Promise<void>,
): Promise<void> {
  const receivers = await Promise.all(handles.map((handle) => listen(createServer(handle), "http")));
  const declared = customers({ retrySchedule: [600] });
  const options: AppOptions = {
    ...declared.options,
    mode: "dev",
    clock: createSystemClock(),
    dialer: await realDialer(),
  };
  try {
    await withApp(options, (app) =>
      use(
        app,
        receivers.map(({ url }) => url),
        async () => (await declared.dispatch(app, { type: "invoice.paid", data: { amount: 1 } })).eventId,
      ),
    );
  } finally {
    for (const receiver of receivers) receiver.close();
  }
}

async function realDialer(): Promise<Dialer> {
  if ("Deno" in globalThis) return (await import("../../../src/platform/dial-deno.ts")).createDenoDialer();
  return (await import("../../../src/platform/dial-bun.ts")).createBunDialer();
}

/** The first attempt to `url`, once it has ended. */
async function ended(app: TestApp, url: string, patienceMs = 18_000): Promise<AttemptRow> {
  for (const endsAt = performance.now() + patienceMs; performance.now() < endsAt;) {
    const row = (await attemptsOf(app)).find((one) => one.url === url && one.attempt === 1 && one.status !== "pending");
    if (row) return row;
    await new Promise<void>((resolve) => void setTimeout(resolve, 20));
  }
  throw new Error(`No attempt to ${url} has ended`);
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  return text;
}

function occurredAtOf(event: unknown): string {
  return (event as { occurredAt?: string } | undefined)?.occurredAt ?? "";
}

describe("a receiver that verifies with the reference libraries", () => {
  it("accepts what Pylon sends, by the names of both families", async () => {
    const seen: unknown[] = [];
    const keys: { secret: string } = { secret: "" };
    const handle: Handle = (request, response) => {
      void readBody(request).then((body) => {
        const headers = request.headers as Record<string, string>;
        // Either throws when it does not accept.
        new Svix(keys.secret).verify(body, headers);
        seen.push(new Standard(keys.secret).verify(body, headers));
        response.end("ok");
      });
    };
    await withReceivers([handle], async (app, [url = ""], dispatch) => {
      keys.secret = (await createEndpoint(app, { url })).secret;
      const eventId = await dispatch();
      const row = await ended(app, url);
      assert.deepEqual([row.status, row.httpStatus, row.responseBody], ["succeeded", 200, "ok"]);
      assert.deepEqual(seen, [
        JSON.parse(
          `{"id":"${eventId}","type":"invoice.paid","occurredAt":"${occurredAtOf(seen[0])}","data":{"amount":1}}`,
        ),
      ]);
    });
  });
});

describe("receivers that misbehave", () => {
  it("are bounded in time and bytes, end with a code, and hold up nobody", async () => {
    const timers: ReturnType<typeof setInterval>[] = [];
    const drip = (response: ServerResponse, text: string, everyMs: number): void => {
      timers.push(setInterval(() => response.write(text), everyMs));
    };
    const handles: readonly Handle[] = [
      (_request, response) => void response.end("ok"),
      // Never answers.
      () => undefined,
      // One byte of the body at a time, for ever.
      (_request, response) => {
        response.writeHead(200);
        drip(response, "x", 500);
      },
      // A body without an end, as fast as it goes.
      (_request, response) => {
        response.writeHead(200);
        drip(response, "y".repeat(65_536), 1);
      },
      // One that says that it is gigantic.
      (_request, response) => {
        response.writeHead(200, { "content-length": String(10 ** 12) });
        drip(response, "z".repeat(65_536), 1);
      },
      (_request, response) => void response.writeHead(302, { location: "http://169.254.169.254/" }).end(),
      // Closes without an answer.
      (request) => void request.socket.destroy(),
      // No HTTP at all.
      (request) => void request.socket.end("SSH-2.0-OpenSSH_9.6\r\n\r\n"),
    ];
    try {
      await withReceivers(handles, async (app, urls, dispatch) => {
        const gone = "http://127.0.0.1:1/";
        for (const url of [...urls, gone]) await createEndpoint(app, { url });
        await dispatch();
        const shown = async (url = ""): Promise<string> => {
          const { status, httpStatus, error } = await ended(app, url);
          return `${status} ${httpStatus} ${error?.split(":")[0] ?? null}`;
        };
        assert.equal(await shown(urls[0]), "succeeded 200 null");
        assert.ok(((await ended(app, urls[0] ?? "")).durationMs ?? 0) < 5_000);
        for (const url of [urls[3], urls[4]]) {
          assert.equal(await shown(url), "succeeded 200 null");
          assert.equal((await ended(app, url ?? "")).responseBody?.length, 1_024);
        }
        assert.equal(await shown(urls[5]), "failed 302 HTTP 302");
        assert.match(await shown(urls[6]), /^failed null NET_(?:RESET|PROTOCOL)$/);
        assert.match(await shown(urls[7]), /^failed null NET_(?:PROTOCOL|RESET)$/);
        assert.equal(await shown(gone), "failed null NET_CONNECT");
        assert.equal(await shown(urls[1]), "failed null NET_TIMEOUT");
        // Its status came: the rest of the body is not worth a second delivery.
        assert.equal(await shown(urls[2]), "succeeded 200 null");
        for (const url of [urls[1], urls[2]]) {
          const { durationMs } = await ended(app, url ?? "");
          assert.ok((durationMs ?? 0) >= 14_900 && (durationMs ?? 0) < 17_000, String(durationMs));
        }
      });
    } finally {
      for (const timer of timers) clearInterval(timer);
    }
  });

  it("with a certificate that nobody trusts get nothing", async () => {
    const key = readFileSync(join(FIXTURES, "loopback.key.pem"));
    const cert = readFileSync(join(FIXTURES, "loopback.pem"));
    let requests = 0;
    const server = createTlsServer({ key, cert }, (_request, response) => {
      requests += 1;
      response.end("ok");
    });
    const receiver = await listen(server, "https");
    try {
      await withReceivers([], async (app, _urls, dispatch) => {
        await createEndpoint(app, { url: receiver.url });
        await dispatch();
        const { status, error } = await ended(app, receiver.url);
        assert.equal(status, "failed");
        assert.match(error ?? "", /^NET_TLS: /);
        assert.equal(requests, 0);
      });
    } finally {
      receiver.close();
    }
  });
});
