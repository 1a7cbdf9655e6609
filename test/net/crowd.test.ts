// A healthy crowd goes in turns; one that hangs holds nobody up for longer than a moment.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createVirtualClock } from "../../src/core/clock.ts";
import { createCrowd } from "../../src/net/crowd.ts";

function open(comfortable: number) {
  const clock = createVirtualClock();
  const crowd = createCrowd(clock, comfortable);
  const entered: string[] = [];
  const enter = async (name: string): Promise<void> => {
    entered.push(`${name} ${await crowd.enter()}`);
  };
  return { clock, crowd, entered, enter };
}

describe("createCrowd()", () => {
  it("gives places at once while there are some, and the next one to who has waited longest", async () => {
    const { clock, crowd, entered, enter } = open(2);
    assert.equal(crowd.enter(), 1);
    const calls = ["b", "c", "d"].map(enter);
    await clock.advance(9);
    assert.deepEqual(entered, ["b 2"]);
    crowd.leave();
    await clock.advance(0);
    assert.deepEqual(entered, ["b 2", "c 2"]);
    crowd.leave();
    await Promise.all(calls);
    assert.deepEqual(entered, ["b 2", "c 2", "d 2"]);
  });

  it("lets who has waited for ten milliseconds go ahead, beyond what is comfortable", async () => {
    const { clock, crowd, entered, enter } = open(1);
    const calls = ["a", "b", "c"].map(enter);
    await clock.advance(9);
    assert.deepEqual(entered, ["a 1"]);
    await clock.advance(1);
    assert.deepEqual(entered, ["a 1", "b 2", "c 3"]);
    await Promise.all(calls);
    // The places above the comfortable number are given back before anybody is called.
    const late = enter("d");
    crowd.leave();
    crowd.leave();
    await clock.advance(1);
    assert.equal(entered.length, 3);
    crowd.leave();
    await late;
    assert.equal(entered.at(-1), "d 1");
  });

  it("forgets nobody whatever the order of ends and waits", async () => {
    const { clock, crowd, entered, enter } = open(3);
    const calls = Array.from({ length: 50 }, async (_, n) => {
      await enter(String(n));
      await new Promise<void>((resolve) => clock.setTimer((n * 7) % 23, resolve));
      crowd.leave();
    });
    for (let ms = 0; ms < 400; ms++) await clock.advance(1);
    await Promise.all(calls);
    assert.equal(entered.length, 50);
    assert.equal(crowd.enter(), 1);
  });
});
