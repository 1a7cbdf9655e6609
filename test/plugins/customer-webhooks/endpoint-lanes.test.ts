// What an endpoint may ask for: so many a second, so many at once; and that nobody else waits for one that hangs. In real
// time: virtual time cannot rest while something is due that must not be sent yet.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout } from "node:timers";
import { createSystemClock } from "../../../src/core/clock.ts";
import { type TestApp, withApp } from "../app-harness.ts";
import { createEndpoint, customers, type Declared, memberOf } from "./customers.ts";

/** Shorter than an attempt may take: who waits for a hanging receiver is found out. */
const PATIENCE_MS = 12_000;

function realTime(): Declared {
  return customers({}, { clock: createSystemClock() });
}

async function dispatchMany(app: TestApp, count: number, tenantId: string = "org_a"): Promise<void> {
  const events = Array.from({ length: count }, (_, n) => ({ type: "a", data: n }));
  await app.pylon.call("place", { events, fails: false }, memberOf(tenantId));
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const endsAt = performance.now() + PATIENCE_MS; performance.now() < endsAt;) {
    if (holds()) return;
    await new Promise<void>((resolve) => void setTimeout(resolve, 5));
  }
  throw new Error(`Not within ${PATIENCE_MS} ms: ${what}`);
}

/** Evenly apart, but for what reading the endpoint takes now and then. */
function assertPaced(times: readonly number[], intervalMs: number): void {
  const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
  for (const gap of gaps) assert.ok(gap >= intervalMs / 2, `${gap} ms between two deliveries`);
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  assert.ok(span >= gaps.length * intervalMs - intervalMs / 2, `${times.length} deliveries in ${span} ms`);
}

describe("maxPerSecond", () => {
  it("spaces deliveries evenly, however many are due, also right after a restart", async () => {
    const app = realTime();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance, { maxPerSecond: 10 });
      await dispatchMany(instance, 16);
      await until(() => instance.sent.length >= 6, "the first deliveries");
      await instance.restart();
      const before = instance.sent.length;
      await until(() => instance.sent.length === 16, "all deliveries");
      const at = instance.sent.map((sent) => sent.at);
      for (const part of [at.slice(0, before), at.slice(before)]) assertPaced(part, 100);
    });
  });

  it("holds for events that come one by one, and for the endpoint alone", async () => {
    const app = realTime();
    await withApp(app.options, async (instance) => {
      await createEndpoint(instance, { maxPerSecond: 5 });
      await createEndpoint(instance, { url: "https://free.example.com/" });
      const timesOf = (isFree: boolean): number[] =>
        instance.sent.filter(({ url }) => url.includes("free") === isFree).map(({ at }) => at);
      for (let n = 1; n <= 5; n++) {
        await dispatchMany(instance, 1);
        await until(() => timesOf(true).length === n, "the other endpoint's");
      }
      assert.ok(timesOf(false).length < 5, "this one is behind");
      await until(() => timesOf(false).length === 5, "its own");
      assertPaced(timesOf(false), 200);
    });
  });
});

describe("maxConcurrent", () => {
  for (const [asked, expected] of [
    [undefined, 10],
    [3, 3],
    [1, 1],
  ] as const) {
    it(`${asked ?? "by default"}: never more than ${expected} run at once, and so many do`, async () => {
      const app = realTime();
      await withApp(app.options, async (instance) => {
        let running = 0;
        let most = 0;
        instance.respond = async () => {
          most = Math.max(most, ++running);
          await new Promise<void>((resolve) => void setTimeout(resolve, 20));
          running -= 1;
          return new Response(null);
        };
        await createEndpoint(instance, asked === undefined ? {} : { maxConcurrent: asked });
        await dispatchMany(instance, 40);
        await until(() => instance.sent.length === 40, "all deliveries");
        assert.equal(most, expected);
      });
    });
  }
});

describe("a crowd of endpoints that hang", () => {
  it("does not keep a healthy one waiting, whatever it has piled up", async () => {
    const app = realTime();
    await withApp(app.options, async (instance) => {
      instance.respond = ({ url }) => (url.includes("hang") ? new Promise(() => undefined) : new Response(null));
      for (let n = 0; n < 150; n++) {
        await createEndpoint(instance, { applicationId: `hang${n}`, url: `https://hang${n}.example.com/` });
        await dispatchMany(instance, 12, `hang${n}`);
      }
      const hanging = (): number =>
        new Set(instance.sent.filter(({ url }) => url.includes("hang")).map(({ url }) => url)).size;
      await until(() => hanging() === 150, "each of them is tried");
      await createEndpoint(instance, { url: "https://healthy.example.com/" });
      const healthy = (): number => instance.sent.filter(({ url }) => url.includes("healthy")).length;
      const startedAt = performance.now();
      for (let round = 1; round <= 20; round++) {
        await dispatchMany(instance, 5);
        await until(() => healthy() === round * 5, `round ${round}`);
      }
      assert.ok(performance.now() - startedAt < PATIENCE_MS);
    });
  });
});
