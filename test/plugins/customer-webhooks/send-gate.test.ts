// Whose turn it is to send: applications in turn, and no place for longer than a send may count.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createVirtualClock, type VirtualClock } from "../../../src/core/clock.ts";
import { createSendGate, type SendGate } from "../../../src/plugins/customer-webhooks/send-gate.ts";

interface Scene {
  readonly clock: VirtualClock;
  /** `a1` is the first send of application `a`; answers what lets it leave, once it is in. */
  readonly enter: (name: string) => void;
  /** In the order in which they came in. */
  readonly inside: string[];
  readonly leave: (name: string) => Promise<void>;
}

function createScene(places: number): Scene {
  const clock = createVirtualClock(0);
  const gate: SendGate = createSendGate({ places, slowMs: 250, clock });
  const inside: string[] = [];
  const leaves = new Map<string, () => void>();
  return {
    clock,
    inside,
    enter(name) {
      void gate.enter(name.slice(0, 1)).then((leave) => {
        inside.push(name);
        leaves.set(name, leave);
      });
    },
    async leave(name) {
      leaves.get(name)?.();
      await clock.advance(0);
    },
  };
}

describe("createSendGate()", () => {
  it("lets in as many as there are places, and the next one when somebody leaves", async () => {
    const { clock, enter, inside, leave } = createScene(2);
    for (const name of ["a1", "a2", "a3", "a4"]) enter(name);
    await clock.advance(0);
    assert.deepEqual(inside, ["a1", "a2"]);
    await leave("a2");
    assert.deepEqual(inside, ["a1", "a2", "a3"]);
    await leave("a2");
    assert.deepEqual(inside, ["a1", "a2", "a3"], "who has left cannot leave again");
    await leave("a1");
    assert.deepEqual(inside, ["a1", "a2", "a3", "a4"]);
  });

  it("lets applications in by turns, however many sends one of them waits with", async () => {
    const { clock, enter, inside, leave } = createScene(1);
    for (const name of ["a1", "a2", "a3", "a4", "b1", "b2", "c1"]) enter(name);
    await clock.advance(0);
    for (let count = 1; count < 7; count++) await leave(inside.at(-1) ?? "");
    assert.deepEqual(inside, ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
  });

  it("gives the place of a slow one to the next, and counts it once", async () => {
    const { clock, enter, inside, leave } = createScene(2);
    enter("a1");
    await clock.advance(100);
    for (const name of ["a2", "b1", "b2", "b3"]) enter(name);
    await clock.advance(149);
    assert.deepEqual(inside, ["a1", "a2"]);
    await clock.advance(1);
    assert.deepEqual(inside, ["a1", "a2", "b1"]);
    await clock.advance(100);
    assert.deepEqual(inside, ["a1", "a2", "b1", "b2"]);
    await leave("a1");
    await leave("a2");
    assert.deepEqual(inside, ["a1", "a2", "b1", "b2"], "their places are taken");
    await leave("b1");
    assert.deepEqual(inside, ["a1", "a2", "b1", "b2", "b3"]);
  });

  it("forgets who has left, when nobody ever waits", async () => {
    const { clock, enter, inside, leave } = createScene(2);
    for (let count = 0; count < 50; count++) {
      enter(`a${count}`);
      await clock.advance(1);
      await leave(`a${count}`);
    }
    assert.equal(inside.length, 50);
    for (const name of ["b1", "b2", "b3"]) enter(name);
    await clock.advance(0);
    assert.deepEqual(inside.slice(50), ["b1", "b2"]);
  });
});
