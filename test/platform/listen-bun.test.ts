// Listening on Bun: addresses, slow answers, and how it ends.

import { describe, expect, test } from "bun:test";
import { type Listener, listenOnBun, type ListenOptions } from "../../src/platform/listen-bun.ts";

function listen(fetch: ListenOptions["fetch"], more: Partial<ListenOptions> = {}): Listener {
  const onError = (error: unknown): void => {
    throw error;
  };
  return listenOnBun({ host: "127.0.0.1", port: 0, fetch, onError, ...more });
}

const urlOf = ({ port }: Listener): string => `http://127.0.0.1:${port}/`;

describe("listenOnBun", () => {
  test("chooses a free port for 0, and hands in the caller's address", async () => {
    const listener = listen(async (_request, peerOf) => new Response(peerOf()));
    expect(listener.port).toBeGreaterThan(0);
    expect(await (await fetch(urlOf(listener))).text()).toBe("127.0.0.1");
    await listener.stop();
  });

  test.each([
    ["EADDRINUSE", (port: number) => ({ port })],
    ["EADDRNOTAVAIL", () => ({ host: "203.0.113.7" })],
  ])("fails with %s", async (code, options) => {
    const listener = listen(async () => new Response());
    expect(() => listen(async () => new Response(), options(listener.port))).toThrow(expect.objectContaining({ code }));
    await listener.stop();
  });

  test("stop lets the request that is under way end, and takes no other", async () => {
    const [arrived, open] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const listener = listen(async () => {
      arrived.resolve();
      await open.promise;
      return new Response("late");
    });
    const waiting = fetch(urlOf(listener));
    await arrived.promise;
    const stopped = listener.stop();
    expect(
      await fetch(urlOf(listener), { keepalive: false }).then(
        () => "answered",
        () => "refused",
      ),
    ).toBe("refused");
    open.resolve();
    expect(await (await waiting).text()).toBe("late");
    await stopped;
  });

  test("cut ends what never ends", async () => {
    const listener = listen(
      async () =>
        new Response(
          new ReadableStream({
            start(controller) {
              controller.enqueue(new TextEncoder().encode("first"));
            },
          }),
        ),
    );
    const reader = (await fetch(urlOf(listener))).body?.getReader();
    await reader?.read();
    const stopped = listener.stop();
    await listener.cut();
    await stopped;
    const end = reader?.read().then(
      ({ done }) => done,
      () => true,
    );
    expect(await end).toBe(true);
  });

  test("takes bodies as large as the routes do", async () => {
    const listener = listen(async (request) => {
      let bytes = 0;
      for await (const chunk of request.body ?? []) bytes += chunk.length;
      return new Response(String(bytes));
    });
    // Bun's own limit is 128 MiB.
    const bytes = 130 * 2 ** 20;
    const response = await fetch(urlOf(listener), { method: "POST", body: new Uint8Array(bytes) });
    expect(await response.text()).toBe(String(bytes));
    await listener.stop();
  });

  test("answers 500 with nothing in it when the application rejects, and tells", async () => {
    const errors: unknown[] = [];
    const listener = listen(() => Promise.reject(new Error("the inside")), { onError: (error) => errors.push(error) });
    const response = await fetch(urlOf(listener));
    expect([response.status, await response.text()]).toEqual([500, ""]);
    expect(errors).toHaveLength(1);
    await listener.stop();
  });
});
