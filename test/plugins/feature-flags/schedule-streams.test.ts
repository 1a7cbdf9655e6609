// Schedules change answers without anybody changing a flag. Whoever listens is told: when one begins, at steps while it
// moves, and when it has ended.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { createVirtualClock, type VirtualClock } from "../../../src/core/clock.ts";
import { type AnnouncedFlags, announcementAt } from "../../../src/plugins/feature-flags/announcement.ts";
import { type ChangeStreams, createChangeStreams } from "../../../src/plugins/feature-flags/change-streams.ts";
import { lastStepAt, nextStepAt, type Schedule } from "../../../src/plugins/feature-flags/schedule.ts";
import { type Answer, type Ask, START, type TestApp, toRequest } from "../app-harness.ts";
import { change, signIn, withFlags } from "./flags-app.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

const ramp = (fromMs: number, lengthMs: number): Schedule => ({
  fromMs,
  toMs: fromMs + lengthMs,
  fromRollout: 0,
  toRollout: 100,
});
const flagsWith = (...schedules: Schedule[]): AnnouncedFlags => ({ version: "v1", since: 0, schedules });

interface Listener {
  /** Milliseconds since the clock's start at which an event came. */
  readonly times: number[];
  leave(): Promise<void>;
}

/** Notes when events come. */
function listen(clock: VirtualClock, streams: ChangeStreams, flags: AnnouncedFlags, seen: string | null): Listener {
  const times: number[] = [];
  const reader = streams.open(seen, flags).getReader();
  const decoder = new TextDecoder();
  void (async () => {
    for (let read = await reader.read(); !read.done; read = await reader.read())
      for (const _ of decoder.decode(read.value).matchAll(/refetchEvaluation/g)) times.push(clock.monotonic());
  })();
  return { times, leave: () => reader.cancel() };
}

function opened(flags: (nowMs: number) => AnnouncedFlags): {
  readonly clock: VirtualClock;
  readonly streams: ChangeStreams;
  readonly flags: AnnouncedFlags;
} {
  const clock = createVirtualClock(START);
  return { clock, streams: createChangeStreams(clock, () => 0.5), flags: flags(clock.now()) };
}

describe("steps of a schedule", () => {
  it("lead from its beginning to its end, and never stand still", () => {
    const schedule = fc
      .tuple(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 1, max: 1e9 }))
      .map(([fromMs, lengthMs]) => ramp(fromMs, lengthMs));
    fc.assert(
      fc.property(schedule, fc.integer({ min: -1e8, max: 2.1e9 }), (given, nowMs) => {
        const [last, next] = [lastStepAt(given, nowMs), nextStepAt(given, nowMs)];
        assert.ok(last <= nowMs && nowMs < next);
        if (next < Infinity) assert.equal(lastStepAt(given, next), next);
        if (next < Infinity) assert.ok(last === -Infinity ? next === given.fromMs : next - last <= 300_000);
        else assert.equal(last, given.toMs);
      }),
    );
  });
});

describe("a stream while a schedule is ahead, runs, and is over", () => {
  it("tells of its beginning, of every hundredth of it and of its end, a second later each", async () => {
    const { clock, streams, flags } = opened((nowMs) => flagsWith(ramp(nowMs + HOUR, HOUR)));
    const { times } = listen(clock, streams, flags, announcementAt(flags, clock.now()).version);
    await clock.advance(HOUR + SECOND - 1);
    assert.deepEqual(times, []);
    await clock.advance(1);
    assert.deepEqual(times, [HOUR + SECOND]);
    await clock.advance(2 * HOUR);
    assert.deepEqual(
      times,
      Array.from({ length: 101 }, (_, step) => HOUR + step * 36 * SECOND + SECOND),
    );
  });

  it("tells every ten seconds of a short one and every five minutes of a long one", async () => {
    for (const [lengthMs, stepMs] of [
      [60 * SECOND, 10 * SECOND],
      [10 * 24 * HOUR, 300 * SECOND],
    ] as const) {
      const { clock, streams, flags } = opened((nowMs) => flagsWith(ramp(nowMs, lengthMs)));
      const { times } = listen(clock, streams, flags, null);
      await clock.advance(4 * stepMs + SECOND);
      assert.deepEqual(
        times,
        [0, 1, 2, 3, 4].map((step) => step * stepMs + SECOND),
      );
    }
  });

  it("tells at most every ten seconds, however many there are, and of the last of them as well", async () => {
    const { clock, streams, flags } = opened((nowMs) =>
      flagsWith(...Array.from({ length: 100 }, (_, i) => ramp(nowMs + i * 777, 120 * SECOND))),
    );
    const { times } = listen(clock, streams, flags, null);
    await clock.advance(HOUR);
    for (let i = 1; i < times.length; i++) assert.ok((times[i] as number) - (times[i - 1] as number) >= 10 * SECOND);
    const endMs = 99 * 777 + 120 * SECOND + SECOND;
    const last = times.at(-1) as number;
    assert.ok(last >= endMs && last < endMs + 10 * SECOND, `${last}`);
  });

  it("needs one timer for all of them, and none without a reader or with nothing ahead", async () => {
    const { clock, streams, flags } = opened((nowMs) =>
      flagsWith(ramp(nowMs, HOUR), ramp(nowMs + HOUR, HOUR), ramp(nowMs + 5, HOUR)),
    );
    streams.announce(flags);
    assert.equal(clock.pending, 0);
    const listeners = [listen(clock, streams, flags, null), listen(clock, streams, flags, null)];
    assert.equal(clock.pending, 2, "the heartbeat and one more");
    await listeners[0]?.leave();
    assert.equal(clock.pending, 2);
    await listeners[1]?.leave();
    await clock.advance(30 * SECOND);
    assert.equal(clock.pending, 0);
    const over = flagsWith(ramp(clock.now() - HOUR, HOUR - 2 * SECOND));
    listen(clock, streams, over, null);
    assert.equal(clock.pending, 1, "the heartbeat");
    streams.close();
    assert.equal(clock.pending, 0);
  });

  it("tells whoever comes back about steps that were missed, and nobody who has seen them", async () => {
    const { clock, streams, flags } = opened((nowMs) => flagsWith(ramp(nowMs, 60 * SECOND)));
    const before = announcementAt(flags, clock.now()).version;
    await clock.advance(30 * SECOND);
    const [missed, seen] = [before, announcementAt(flags, clock.now()).version].map((version) =>
      listen(clock, streams, flags, version),
    );
    await clock.advance(0);
    assert.deepEqual([missed?.times.length, seen?.times.length], [1, 0]);
  });

  it("does not lose a step that is due when another reader comes", async () => {
    const { clock, streams, flags } = opened((nowMs) =>
      flagsWith(ramp(nowMs, SECOND), ramp(nowMs + 5 * SECOND, SECOND)),
    );
    const first = listen(clock, streams, flags, announcementAt(flags, clock.now()).version);
    await clock.advance(9 * SECOND);
    assert.deepEqual(first.times, [SECOND]);
    listen(clock, streams, flags, null);
    await clock.advance(10 * SECOND);
    assert.deepEqual(first.times, [SECOND, 11 * SECOND]);
  });

  it("finds out within a heartbeat that the wall clock was put forward", async () => {
    const { clock, streams, flags } = opened((nowMs) => flagsWith(ramp(nowMs + HOUR, HOUR)));
    const { times } = listen(clock, streams, flags, announcementAt(flags, clock.now()).version);
    clock.jump(3 * HOUR);
    await clock.advance(25 * SECOND);
    assert.equal(times.length, 1);
  });
});

const BULK = "POST /ofrep/v1/evaluate/flags";
const iso = (ms: number): string => new Date(ms).toISOString();

/** A client as the protocol means it: it evaluates, listens, and evaluates again when it is told to. */
async function follow(app: TestApp, ask: Ask) {
  let [text, etag, evaluations] = ["", "", 0];
  const evaluate = async (): Promise<Answer> => {
    const answer = await app.ask(BULK, { json: {}, ...ask, headers: etag === "" ? {} : { "if-none-match": etag } });
    evaluations++;
    if (answer.status === 200) [text, etag] = [answer.text, answer.headers.get("etag") ?? ""];
    return answer;
  };
  const first = await evaluate();
  const [stream] = first.json["eventStreams"] as readonly { readonly endpoint: { readonly requestUri: string } }[];
  const response = await app.pylon.fetch(toRequest(`GET ${stream?.endpoint.requestUri}`, {}));
  const reader = response.body?.getReader();
  void (async () => {
    for (let read = await reader?.read(); read && !read.done; read = await reader?.read())
      if (new TextDecoder().decode(read.value).includes("refetchEvaluation")) await evaluate();
  })();
  const flagsIn = (json: string): unknown => (JSON.parse(json) as Record<string, unknown>)["flags"];
  return {
    known: () => flagsIn(text),
    actual: async () => flagsIn((await app.ask(BULK, { json: {}, ...ask })).text),
    evaluations: () => evaluations,
    leave: async () => reader?.cancel(),
  };
}

describe("a client that listens", () => {
  it("knows what a schedule has made of its flags within a step, and in the end all of it", async () => {
    const schedule = {
      from: iso(START + 60 * SECOND),
      to: iso(START + 360 * SECOND),
      fromRollout: 0,
      toRollout: 100,
    };
    await withFlags({ ramp: { enabled: true, schedule }, plain: { enabled: true } }, async (app) => {
      const people = await Promise.all(["u_1", "u_2", "u_3", "u_4"].map((id) => signIn(app, id)));
      const clients = await Promise.all([...people.map((token) => follow(app, { token })), follow(app, {})]);
      const changes = clients.map(() => 0);
      let before = await Promise.all(clients.map((client) => client.actual()));
      for (let atMs = 0; atMs < 400 * SECOND; atMs += 10 * SECOND) {
        await app.advance(10 * SECOND);
        const now = await Promise.all(clients.map((client) => client.actual()));
        for (const [index, client] of clients.entries()) {
          const known = JSON.stringify(client.known());
          assert.ok([before[index], now[index]].some((answer) => JSON.stringify(answer) === known));
          if (JSON.stringify(before[index]) !== JSON.stringify(now[index])) changes[index] = (changes[index] ?? 0) + 1;
        }
        before = now;
      }
      for (const client of clients) assert.deepEqual(client.known(), await client.actual());
      assert.ok(
        changes.every((count) => count > 0),
        changes.join(),
      );
      for (const client of clients) await client.leave();
    });
  });

  it("is told about a schedule that an administrator sets while it listens", async () => {
    await withFlags({ ramp: { enabled: true, rollout: 0 } }, async (app) => {
      const client = await follow(app, { token: await signIn(app, "u_1") });
      const schedule = {
        from: iso(START + 60 * SECOND),
        to: iso(START + 61 * SECOND),
        fromRollout: 0,
        toRollout: 100,
      };
      assert.equal((await change(app, "ramp", { schedule })).status, 200);
      await app.advance(30 * SECOND);
      assert.equal(client.evaluations(), 2);
      assert.match(JSON.stringify(client.known()), /"value":false/);
      await app.advance(32 * SECOND);
      assert.match(JSON.stringify(client.known()), /"value":true/);
      await client.leave();
    });
  });

  it("hears nothing of a schedule that moves nothing: of a flag that is off, or from a share to the same", async () => {
    const moving = { from: iso(START), to: iso(START + HOUR), fromRollout: 0, toRollout: 100 };
    const flags = {
      off: { enabled: false, schedule: moving },
      still: { enabled: true, schedule: { ...moving, toRollout: 0 } },
    };
    await withFlags(flags, async (app) => {
      const client = await follow(app, {});
      await app.advance(300 * SECOND);
      assert.equal(client.evaluations(), 1);
      await client.leave();
    });
  });

  it("has a tag that a schedule changes when it changes the caller's answers, and only then", async () => {
    const schedule = { from: iso(START), to: iso(START + 100 * SECOND), fromRollout: 0, toRollout: 100 };
    await withFlags({ ramp: { enabled: true, schedule } }, async (app) => {
      const token = await signIn(app, "u_1");
      const first = await app.ask(BULK, { json: {}, token });
      let [etag, flags, changes] = [first.headers.get("etag") ?? "", JSON.stringify(first.json["flags"]), 0];
      for (let second = 1; second <= 101; second++) {
        app.jump(SECOND);
        const answer = await app.ask(BULK, { json: {}, token, headers: { "if-none-match": etag } });
        const actual = JSON.stringify((await app.ask(BULK, { json: {}, token })).json["flags"]);
        assert.equal(answer.status, actual === flags ? 304 : 200, `second ${second}`);
        if (answer.status === 200) changes++;
        [etag, flags] = [answer.headers.get("etag") ?? "", actual];
      }
      assert.equal(changes, 1);
    });
  });
});
