// Deliveries of the binary to receivers that fail, ask for time, or hang; and what a stop and a start do to them.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";

import { createTempDir } from "../support/temp-dir.ts";
import { type Arrival, type HookReceiver, openHookReceiver } from "./hook-receiver.ts";
import { countUnfinished, type RunningPylon, startPylon, until, withPylon } from "./running-pylon.ts";

interface Scene {
  readonly receiver: HookReceiver;
  /** Receives the inserts as well. */
  readonly other: HookReceiver;
  start(env?: Readonly<Record<string, string>>): Promise<RunningPylon>;
  /** Starts the binary, hands it over, and ends it. */
  run(use: (pylon: RunningPylon) => Promise<void>, env?: Readonly<Record<string, string>>): Promise<void>;
}

async function withScene(use: (scene: Scene) => Promise<void>, hooks: "one" | "two" = "one"): Promise<void> {
  const folder = await createTempDir("pylon-delivery-");
  const [receiver, other] = [openHookReceiver(), openHookReceiver()];
  const env = { RECEIVER_URL: receiver.url, ...(hooks === "two" ? { OTHER_URL: other.url } : {}) };
  const optionsOf = (more: Readonly<Record<string, string>>): Parameters<typeof startPylon>[0] => ({
    database: join(folder.path, "pylon.db"),
    env: { ...env, ...more },
  });
  try {
    await use({
      receiver,
      other,
      start: (more = {}) => startPylon(optionsOf(more)),
      run: (run, more = {}) => withPylon(optionsOf(more), run),
    });
  } finally {
    receiver.close();
    other.close();
    await folder.remove();
  }
}

async function insertOrders(pylon: RunningPylon, count: number): Promise<void> {
  const inserts = Array.from({ length: count }, (_, index) =>
    pylon.ask("POST /api/entities/Order", { tag: `t${index}`, step: 0 }),
  );
  for (const response of await Promise.all(inserts)) expect(response.status).toBe(201);
}

const answerWith =
  (status: number, headers: Readonly<Record<string, string>> = {}) =>
  (): Response =>
    new Response(null, { status, headers });

/** Never answers. */
const hang = (): Promise<Response> => new Promise(() => undefined);

function distinct(arrivals: readonly Arrival[]): number {
  return new Set(arrivals.map(({ deliveryId }) => deliveryId)).size;
}

describe("a receiver that fails", () => {
  test("gets every delivery once it has recovered, with the same bytes", async () => {
    await withScene(async ({ receiver, run }) => {
      receiver.answer = answerWith(500);
      await run(async (pylon) => {
        await insertOrders(pylon, 20);
        await until(() => receiver.arrivals.length >= 30, "some retries");
        receiver.answer = answerWith(204);
        await until(async () => (await countUnfinished(pylon)) === 0, "every delivery");
        expect(distinct(receiver.arrivals)).toBe(20);
        expect(new Set(receiver.arrivals.map(({ body }) => body)).size).toBe(20);
        expect(receiver.arrivals.every(({ isSigned }) => isSigned)).toBe(true);
        const accepted = receiver.arrivals.filter(({ status }) => status === 204);
        expect([accepted.length, distinct(accepted)]).toEqual([20, 20]);
      });
    });
  });

  test("is left alone for as long as its Retry-After says", async () => {
    await withScene(async ({ receiver, run }) => {
      receiver.answer = answerWith(503, { "retry-after": "2" });
      await run(async (pylon) => {
        await insertOrders(pylon, 1);
        await until(() => receiver.arrivals.length === 1, "the first attempt");
        receiver.answer = answerWith(200);
        await until(() => receiver.arrivals.length === 2, "the second attempt");
        const [first, second] = receiver.arrivals;
        const waited = (second?.at ?? 0) - (first?.at ?? 0);
        // The backoff of the hook is 0.2 seconds. Whole milliseconds are lost between the two clocks.
        expect(waited).toBeGreaterThan(1_980);
        expect(waited).toBeLessThan(6_000);
        await until(async () => (await countUnfinished(pylon)) === 0, "its end");
      });
    });
  });

  test("that hangs does not delay another hook", async () => {
    await withScene(async ({ receiver, other, run }) => {
      other.answer = hang;
      await run(
        async (pylon) => {
          const startedMs = performance.now();
          for (let round = 0; round < 10; round++) {
            const inserts = Array.from({ length: 40 }, (_, index) =>
              pylon.ask("POST /api/entities/Order", { tag: `r${round}-${index}`, step: 0 }),
            );
            await Promise.all(inserts);
          }
          await until(
            () => distinct(receiver.arrivals) === 400,
            () => `${distinct(receiver.arrivals)} of 400`,
          );
          // An attempt at the one that hangs lasts 15 seconds.
          expect(performance.now() - startedMs).toBeLessThan(12_000);
          expect(other.arrivals.length).toBeGreaterThan(0);
          expect(other.arrivals.every(({ status }) => status === null)).toBe(true);
        },
        { PYLON_DRAIN_SECS: "0" },
      );
    }, "two");
  });
});

describe("SIGTERM", () => {
  test("lets deliveries under way finish: exit code 0, and none of them is sent again", async () => {
    await withScene(async ({ receiver, start, run }) => {
      receiver.answer = async () => {
        await Bun.sleep(300);
        return new Response(null);
      };
      const pylon = await start();
      await insertOrders(pylon, 120);
      await until(() => receiver.arrivals.length > 0, "the first arrival");
      expect(await pylon.stop()).toBe(0);
      expect(receiver.arrivals.every(({ status }) => status === 200)).toBe(true);
      const before = receiver.arrivals.length;
      expect(before).toBeLessThan(120);
      receiver.answer = answerWith(200);
      await run(async (again) => {
        await until(async () => (await countUnfinished(again)) === 0, "the others");
        expect([receiver.arrivals.length, distinct(receiver.arrivals)]).toEqual([120, 120]);
      });
    });
  });

  test("keeps deliveries that wait for their next attempt", async () => {
    await withScene(async ({ receiver, start, run }) => {
      receiver.answer = answerWith(500);
      const pylon = await start();
      await insertOrders(pylon, 10);
      await until(() => distinct(receiver.arrivals) === 10, "a first attempt at each");
      expect(await pylon.stop()).toBe(0);
      const bodies = new Set(receiver.arrivals.map(({ body }) => body));
      const before = receiver.arrivals.length;
      receiver.answer = answerWith(200);
      await run(async (again) => {
        await until(async () => (await countUnfinished(again)) === 0, "every delivery");
        const after = receiver.arrivals.slice(before);
        expect([after.length, distinct(after)]).toEqual([10, 10]);
        expect(after.every(({ body }) => bodies.has(body))).toBe(true);
      });
    });
  });

  test("does not wait for a receiver that hangs longer than PYLON_DRAIN_SECS, and the delivery is sent again", async () => {
    await withScene(async ({ receiver, start, run }) => {
      receiver.answer = hang;
      const pylon = await start({ PYLON_DRAIN_SECS: "1" });
      await insertOrders(pylon, 3);
      await until(() => receiver.arrivals.length === 3, "the attempts");
      const startedMs = performance.now();
      expect(await pylon.stop()).toBe(0);
      const tookMs = performance.now() - startedMs;
      expect(tookMs).toBeGreaterThan(900);
      expect(tookMs).toBeLessThan(5_000);
      receiver.answer = answerWith(200);
      await run(async (again) => {
        await until(async () => (await countUnfinished(again)) === 0, "every delivery");
        expect([receiver.arrivals.length, distinct(receiver.arrivals)]).toEqual([6, 3]);
        const response = await again.ask("GET /api/admin/deliveries");
        const { data } = (await response.json()) as { data: { attempts: number }[] };
        // The attempt that was cut off by the stop is none.
        expect(data.map(({ attempts }) => attempts)).toEqual([1, 1, 1]);
      });
    });
  });
});
