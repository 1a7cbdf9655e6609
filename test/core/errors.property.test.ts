// Whatever a raiser adds, an error keeps the code and the status of its row.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import fc from "fast-check";

import { defineErrors, isPylonError, type ErrorOptions } from "../../src/core/errors.ts";

const text = fc.string();
const options: fc.Arbitrary<ErrorOptions> = fc.record(
  {
    message: text,
    hint: text,
    details: fc.array(fc.record({ path: text, message: text })),
    retryAfterSecs: fc.nat(),
    cause: fc.anything(),
  },
  { requiredKeys: [] },
);

describe("defineErrors()", () => {
  it("fills in from the row exactly what the raiser leaves out", () => {
    const code = fc.stringMatching(/^[A-Z][A-Z_]{0,20}$/);
    const row = fc.record({ status: fc.integer({ min: 400, max: 599 }), message: text }, { noNullPrototype: true });
    fc.assert(
      fc.property(code, row, options, (name, spec, given) => {
        const error = defineErrors({ [name]: spec })(name, given);
        assert.ok(isPylonError(error, name));
        assert.equal(error.status, spec.status);
        assert.equal(error.message, given.message ?? spec.message);
        assert.equal(error.hint, given.hint);
        assert.equal(error.details, given.details);
        assert.equal(error.retryAfterSecs, given.retryAfterSecs);
        assert.equal(error.cause, given.cause);
      }),
    );
  });
});
