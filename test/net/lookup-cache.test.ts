// Lookups are shared and short-lived; failures and hanging lookups are not kept.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createVirtualClock } from "../../src/core/clock.ts";
import { createLookupCache } from "../../src/net/lookup-cache.ts";

function open(resolve: (host: string) => Promise<readonly string[]>, maxEntries = 1000) {
  const clock = createVirtualClock();
  const asked: string[] = [];
  const lookup = createLookupCache({
    clock,
    maxEntries,
    resolve: (host) => {
      asked.push(host);
      return resolve(host);
    },
  });
  return { clock, asked, lookup: (host: string) => lookup(host).addresses };
}

describe("createLookupCache()", () => {
  it("asks once for callers that wait together and for five seconds after", async () => {
    const { clock, asked, lookup } = open(async () => ["8.8.8.8"]);
    await Promise.all([lookup("a"), lookup("a"), lookup("b")]);
    await clock.advance(4999);
    assert.deepEqual(await lookup("a"), ["8.8.8.8"]);
    assert.deepEqual(asked, ["a", "b"]);
    await clock.advance(1);
    await lookup("a");
    assert.deepEqual(asked, ["a", "b", "a"]);
  });

  it("does not remember a failure", async () => {
    let isDown = true;
    const { asked, lookup } = open(async () => {
      if (isDown) throw new Error("ENOTFOUND");
      return ["8.8.8.8"];
    });
    await assert.rejects(Promise.all([lookup("a"), lookup("a")]));
    isDown = false;
    assert.deepEqual(await lookup("a"), ["8.8.8.8"]);
    assert.equal(asked.length, 2);
  });

  it("asks anew when a lookup hangs, and keeps the newer answer when the old one fails late", async () => {
    const turns = [Promise.withResolvers<readonly string[]>(), Promise.withResolvers<readonly string[]>()];
    let turn = 0;
    const { clock, asked, lookup } = open(() => turns[turn++]!.promise);
    const first = lookup("a");
    await clock.advance(5000);
    const second = lookup("a");
    turns[1]!.resolve(["8.8.8.8"]);
    await second;
    turns[0]!.reject(new Error("late"));
    await assert.rejects(first);
    assert.deepEqual(await lookup("a"), ["8.8.8.8"]);
    assert.equal(asked.length, 2);
  });

  it("holds a bounded number of names, the oldest leaving first", async () => {
    const { asked, lookup } = open(async () => ["8.8.8.8"], 2);
    for (const host of ["a", "b", "c", "c", "b", "a"]) await lookup(host);
    assert.deepEqual(asked, ["a", "b", "c", "a"]);
  });
});
