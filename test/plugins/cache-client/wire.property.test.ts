// What lies on the server and what goes over the bus: read back as written, and nothing made of what is neither.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Json } from "../../../src/core/json.ts";
import { type BusMessage, decodeMessage, encodeMessage } from "../../../src/plugins/cache-client/bus-message.ts";
import { chooseShard } from "../../../src/plugins/cache-client/choose-shard.ts";
import { newLedgerText, parseLedger, planEntry, recordedPrefixes } from "../../../src/plugins/cache-client/ledger.ts";
import { parseServerUrl } from "../../../src/plugins/cache-client/server-url.ts";
import { decodeValue, encodeValue } from "../../../src/plugins/cache-client/stored-value.ts";

const count = fc.nat({ max: 2 ** 50 });
const text = fc.string({ unit: "binary" });
const value = fc.json().map((given) => JSON.parse(given) as Json);
const stored = fc.record({ value, stamp: count, writtenAt: count, ttlMs: count, staleMs: count });
const sent = { origin: fc.uuid(), id: count };
const message: fc.Arbitrary<BusMessage> = fc.oneof(
  fc.record({ ...sent, kind: fc.constant("set" as const), key: text, text }),
  fc.record({ ...sent, kind: fc.constant("drop" as const), key: text }),
  fc.record({ ...sent, kind: fc.constant("invalidate" as const), prefix: text, stamp: count }),
  fc.record({ ...sent, kind: fc.constant("flush" as const) }),
);

describe("stored values and messages", () => {
  it("are read back as they were written", () => {
    fc.assert(
      fc.property(stored, (value) =>
        assert.deepEqual(decodeValue(encodeValue(value)), JSON.parse(JSON.stringify(value))),
      ),
    );
    fc.assert(fc.property(message, (given) => assert.deepEqual(decodeMessage(encodeMessage(given)), { ...given })));
  });

  it("are nothing when they are something else", () => {
    const junk = fc.oneof(
      text,
      fc.json(),
      stored.map((value) => encodeValue(value).slice(0, -1)),
    );
    fc.assert(
      fc.property(junk, (given) => {
        const value = decodeValue(given);
        assert.ok(value === undefined || typeof value.stamp === "number");
        const told = decodeMessage(given);
        assert.ok(told === undefined || typeof told.origin === "string");
      }),
    );
    for (const given of [
      "",
      "\n",
      "{}\n1",
      "null\n1",
      '{"origin":"o","id":1,"kind":"set","key":"k"}',
      '{"origin":1}',
    ]) {
      assert.deepEqual([decodeValue(given), decodeMessage(given)], [undefined, undefined]);
    }
  });
});

describe("the ledger", () => {
  it("finds a record for every prefix that was entered, however many lengths there are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ maxLength: 60 }), { maxLength: 80 }),
        fc.string({ maxLength: 20 }),
        (prefixes, rest) => {
          let ledger = parseLedger(newLedgerText(7));
          const entered: [string, string][] = [];
          for (const prefix of prefixes) {
            assert.ok(ledger);
            const entry = planEntry(ledger, prefix);
            assert.ok(prefix.startsWith(entry.prefix));
            entered.push([prefix, entry.prefix]);
            ledger = parseLedger(ledger.text + entry.addition);
          }
          assert.ok(ledger && ledger.lengths.length <= 32);
          for (const [prefix, recorded] of entered)
            assert.ok(recordedPrefixes(ledger, prefix + rest).includes(recorded));
        },
      ),
    );
  });

  it("is none when it is something else", () => {
    for (const given of [null, undefined, "", "7", "7;5", "x;0,", "7;0,5,x", "7;-1,"])
      assert.equal(parseLedger(given), undefined);
    assert.deepEqual(parseLedger("7;0,5,5,3,"), { text: "7;0,5,5,3,", epoch: 7, lengths: [0, 3, 5] });
  });
});

describe("chooseShard()", () => {
  it("spreads keys evenly, and moves only those of a server that leaves", () => {
    const names = ["a:1", "b:1", "c:1", "d:1"];
    const held = new Map<number, number>();
    for (let i = 0; i < 8_000; i++) {
      const chosen = chooseShard(names, `key:${i}`);
      held.set(chosen, (held.get(chosen) ?? 0) + 1);
      if (chosen !== 3) assert.equal(chooseShard(names.slice(0, 3), `key:${i}`), chosen);
    }
    for (const keys of held.values()) assert.ok(keys > 1_700 && keys < 2_300, `${keys} of 8000`);
  });
});

describe("parseServerUrl()", () => {
  const plain = { host: "h", port: 6_379, tls: false };
  it("reads what a provider gives", () => {
    assert.deepEqual(parseServerUrl("redis", "redis://h"), [{ ...plain, database: 0 }]);
    assert.deepEqual(parseServerUrl("redis", "rediss://u:p%40ss@h:7000/3"), [
      { host: "h", port: 7_000, tls: true, username: "u", password: "p@ss", database: 3 },
    ]);
    assert.deepEqual(parseServerUrl("redis", "redis://:pw@[::1]:1/"), [
      { host: "::1", port: 1, tls: false, password: "pw", database: 0 },
    ]);
    assert.deepEqual(parseServerUrl("memcached", "memcached://a,b:5,[::1]:6"), [
      { host: "a", port: 11_211, tls: false },
      { host: "b", port: 5, tls: false },
      { host: "::1", port: 6, tls: false },
    ]);
  });

  it("refuses the rest", () => {
    for (const url of [
      "",
      "h:6379",
      "http://h",
      "redis://",
      "redis://h/x",
      "redis://h?db=1",
      "redis://h#x",
      "redis://%ff@h",
      "memcached://h",
    ]) {
      assert.equal(parseServerUrl("redis", url), undefined, url);
    }
    for (const url of [
      "memcached://",
      "memcached://a,",
      "memcached://u:p@h",
      "memcached://h/0",
      "redis://h",
      "memcached://h:0x1",
    ]) {
      assert.equal(parseServerUrl("memcached", url), undefined, url);
    }
  });
});
