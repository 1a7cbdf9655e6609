// Bodies within their bound, whether or not they say how long they are, and of no type that a form can send.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";

import { isPylonError } from "../../src/core/errors.ts";
import { parseJson, readBytes, readText, requireJsonType } from "../../src/http/request-body.ts";
import { type Ask, withApp } from "../plugins/app-harness.ts";

/** A body that comes in parts and says nothing of its length. */
function inParts(...parts: readonly Uint8Array[]): ReadableStream<Uint8Array> {
  const waiting = [...parts];
  return new ReadableStream({
    pull(controller) {
      const part = waiting.shift();
      if (part) controller.enqueue(part);
      else controller.close();
    },
  });
}

function post(body: BodyInit | null, headers: Readonly<Record<string, string>> = {}): Request {
  const init: RequestInit & { duplex?: "half" } = { method: "POST", body, headers };
  if (body instanceof ReadableStream) init.duplex = "half";
  return new Request("http://pylon.test/", init);
}

const encoder = new TextEncoder();

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "read";
  } catch (error) {
    return isPylonError(error) ? error.code : String(error);
  }
}

describe("a body", () => {
  it("is read whole up to the bound and refused beyond it, in whatever parts it comes", async () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(parts, fc.integer({ min: 0, max: 200 }), async (chunks, maxBytes) => {
        const whole = Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));
        const expected = whole.length <= maxBytes ? whole : "PAYLOAD_TOO_LARGE";
        const read = async (request: Request): Promise<Uint8Array | string> => {
          try {
            return await readBytes(request, maxBytes);
          } catch (error) {
            return isPylonError(error) ? error.code : String(error);
          }
        };
        assert.deepEqual(await read(post(inParts(...chunks.filter(({ length }) => length > 0)))), expected);
        assert.deepEqual(await read(post(whole, { "content-length": String(whole.length) })), expected);
      }),
    );
  });

  it("is refused by its declared length before a byte of it is read", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(10));
        },
      },
      { highWaterMark: 0 },
    );
    const request = post(body, { "content-length": "1000000" });
    assert.equal(await codeOf(readBytes(request, 100)), "PAYLOAD_TOO_LARGE");
    assert.equal(await codeOf(readText(post("x".repeat(101), { "content-length": "101" }), 100)), "PAYLOAD_TOO_LARGE");
    assert.equal(pulled, 0);
  });

  it("without end is given up soon after the bound, and its source is told", async () => {
    let pulled = 0;
    const { promise: cancelled, resolve } = Promise.withResolvers<void>();
    const endless = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(10));
        },
        cancel: () => resolve(),
      },
      { highWaterMark: 0 },
    );
    assert.equal(await codeOf(readBytes(post(endless), 100)), "PAYLOAD_TOO_LARGE");
    await cancelled;
    assert.ok(pulled <= 13, String(pulled));
  });

  it("is counted when a length is declared beside a transfer coding, or is no number", async () => {
    const lies: readonly Record<string, string>[] = [
      { "content-length": "5", "transfer-encoding": "chunked" },
      { "content-length": "abc" },
      { "content-length": "-1" },
      { "content-length": "1e1" },
    ];
    for (const headers of lies) {
      const request = (): Request => post(inParts(new Uint8Array(60), new Uint8Array(60)), headers);
      assert.equal(await codeOf(readBytes(request(), 100)), "PAYLOAD_TOO_LARGE", JSON.stringify(headers));
      assert.equal(await codeOf(readText(request(), 100)), "PAYLOAD_TOO_LARGE", JSON.stringify(headers));
    }
  });

  it("whose connection breaks is the caller's trouble, not a crash", async () => {
    const broken = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(1));
          controller.error(new Error("socket of 10.0.0.1 closed"));
        },
      });
    assert.equal(await codeOf(readBytes(post(broken()), 100)), "BODY_INCOMPLETE");
    assert.equal(await codeOf(readText(post(broken()), 100)), "BODY_INCOMPLETE");
    assert.equal(await codeOf(readText(post(broken(), { "content-length": "50" }), 100)), "BODY_INCOMPLETE");
  });

  it("that is not there is empty", async () => {
    assert.equal((await readBytes(post(null), 10)).length, 0);
    assert.equal(await readText(post(null), 10), "");
    assert.equal(await readText(post("é", { "content-length": "2" }), 2), "é");
  });
});

describe("JSON", () => {
  it("is parsed, and what is none is INVALID_JSON", () => {
    assert.deepEqual(parseJson('{"a":[1,null]}'), { a: [1, null] });
    assert.equal(parseJson(""), undefined);
    for (const text of ["{", "{a:1}", "undefined", "[1,]", "NaN", " ", "1 2", "'x'"]) {
      assert.throws(
        () => parseJson(text),
        (error) => isPylonError(error, "INVALID_JSON"),
        text,
      );
    }
  });

  it("keeps a key named __proto__ as a key", () => {
    const value = parseJson('{"__proto__":{"isAdmin":true}}') as { isAdmin?: unknown };
    assert.equal(value.isAdmin, undefined);
    assert.deepEqual(Object.keys(value), ["__proto__"]);
  });
});

describe("the type of a body", () => {
  const typed = (type: string): Request => post("{}", { "content-type": type });

  it("is JSON in any of its forms", () => {
    for (const type of ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]) {
      requireJsonType(typed(type));
    }
    requireJsonType(post(encoder.encode("{}")));
  });

  it("is none that a form or a page can send without asking first", () => {
    const types = [
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "text/plain",
      "text/plain; application/json",
      "application/jsonp",
      "text/json-ish",
    ];
    for (const type of types) {
      assert.throws(
        () => requireJsonType(typed(type)),
        (error) => isPylonError(error, "UNSUPPORTED_MEDIA_TYPE"),
        type,
      );
    }
  });
});

describe("a body for a whole instance", () => {
  const MAX = 2_000;
  const ORDER_TEXT = JSON.stringify({ total: 1, note: "x".repeat(MAX - 100) });

  async function answersOf(asks: readonly Ask[]): Promise<string> {
    let text = "";
    await withApp({ env: { PYLON_MAX_BODY_BYTES: String(MAX) } }, async (app) => {
      for (const ask of asks) {
        // A runtime gives a text the type text/plain when the request names none.
        const headers = { "content-type": "application/json", ...ask.headers };
        const answer = await app.ask("POST /api/entities/Order", { token: "admin", ...ask, headers });
        text += `${answer.status} ${String(answer.code)}|`;
      }
      assert.ok(app.logged.every(({ level }) => level === "info"));
    });
    return text;
  }

  it("is bounded with and without a length", async () => {
    const long = `${ORDER_TEXT}${" ".repeat(MAX)}`;
    const length = (text: string): Record<string, string> => ({ "content-length": String(text.length) });
    const stream = (text: string): ReadableStream<Uint8Array> => inParts(encoder.encode(text));
    assert.equal(
      await answersOf([
        { body: ORDER_TEXT, headers: length(ORDER_TEXT) },
        { body: stream(ORDER_TEXT) },
        { body: long, headers: length(long) },
        { body: stream(long) },
      ]),
      "201 undefined|201 undefined|413 PAYLOAD_TOO_LARGE|413 PAYLOAD_TOO_LARGE|",
    );
  });

  it("is refused with a code for each thing that is wrong with it", async () => {
    const form = { "content-type": "application/x-www-form-urlencoded" };
    assert.equal(
      await answersOf([
        { body: "{" },
        { body: "total=1", headers: form },
        { body: "" },
        { body: "null" },
        { body: "[]" },
        { body: '"x"' },
      ]),
      "400 INVALID_JSON|415 UNSUPPORTED_MEDIA_TYPE|" + "400 VALIDATION_FAILED|".repeat(4),
    );
  });
});
