// An error's code, status and message come from its table; what the raiser adds is kept, and nothing else.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { coreError, defineErrors, isPylonError, messageOf, PylonError } from "../../src/core/errors.ts";

const testError = defineErrors({
  FIRST: { status: 400, message: "The first" },
  SECOND: { status: 503, message: "The second", hint: "Try again" },
});

describe("defineErrors()", () => {
  it("makes an error from its row", () => {
    const error = testError("FIRST");
    assert.ok(error instanceof PylonError && error instanceof Error);
    assert.deepEqual(
      [
        error.name,
        error.code,
        error.status,
        error.message,
        error.hint,
        error.details,
        error.retryAfterSecs,
        error.cause,
      ],
      ["PylonError", "FIRST", 400, "The first", undefined, undefined, undefined, undefined],
    );
    assert.equal("cause" in error, false);
  });

  it("takes a hint from the row, and lets the raiser say something better", () => {
    assert.equal(testError("SECOND").hint, "Try again");
    assert.equal(testError("SECOND", { hint: "Wait a minute" }).hint, "Wait a minute");
  });

  it("keeps everything that the raiser adds", () => {
    const cause = new Error("below");
    const details = [{ path: "entities.0.name", message: "Cannot be empty" }];
    const error = testError("FIRST", { message: "Cannot read line 3", details, retryAfterSecs: 7, cause });
    assert.equal(error.message, "Cannot read line 3");
    assert.equal(error.details, details);
    assert.equal(error.retryAfterSecs, 7);
    assert.equal(error.cause, cause);
    assert.deepEqual([error.code, error.status], ["FIRST", 400]);
  });

  it("shows its table", () => {
    assert.deepEqual(Object.keys(testError.table), ["FIRST", "SECOND"]);
    assert.equal(testError.table.SECOND.status, 503);
  });

  it("has a stack that starts with the message and does not show the cause", () => {
    const { stack = "" } = testError("FIRST", { cause: new Error("secret below") });
    assert.ok(stack.includes("The first"));
    assert.ok(!stack.includes("secret below"));
  });
});

describe("isPylonError()", () => {
  it("knows its own, and the code when one is asked for", () => {
    const error: unknown = testError("FIRST");
    assert.equal(isPylonError(error), true);
    assert.equal(isPylonError(error, "FIRST"), true);
    assert.equal(isPylonError(error, "SECOND"), false);
  });

  it("is not taken in by lookalikes", () => {
    for (const value of [new Error("FIRST"), { code: "FIRST", status: 400, message: "x" }, "FIRST", null, undefined]) {
      assert.equal(isPylonError(value), false);
    }
  });
});

describe("coreError", () => {
  it("answers each code with a status of HTTP and a message without a period", () => {
    for (const [code, { status, message }] of Object.entries(coreError.table)) {
      assert.ok(Number.isInteger(status) && status >= 400 && status <= 599, code);
      assert.match(message, /^[A-Z].*[^.]$/, code);
    }
  });
});

describe("messageOf()", () => {
  it("gives the message of anything thrown, and never the cause", () => {
    assert.equal(messageOf(new TypeError("no such thing", { cause: "secret" })), "no such thing");
    assert.equal(messageOf(testError("SECOND")), "The second");
    assert.deepEqual(["text", 7, null, undefined].map(messageOf), ["text", "7", "null", "undefined"]);
  });
});
