// A missing variable is named, with what needs it.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { requireEnv } from "../../src/core/env.ts";
import { isPylonError } from "../../src/core/errors.ts";

describe("requireEnv()", () => {
  it("gives the value", () => {
    assert.equal(requireEnv({ KEY: " k " }, "KEY", "plugins.email"), " k ");
  });

  for (const [name, env] of Object.entries({ missing: {}, undefined: { KEY: undefined }, empty: { KEY: "" } })) {
    it(`refuses a variable that is ${name}`, () => {
      assert.throws(
        () => requireEnv(env, "KEY", "plugins.email"),
        (error) =>
          isPylonError(error, "CONFIG_ENV_MISSING") &&
          error.message.includes("KEY") &&
          error.details?.[0]?.path === "plugins.email",
      );
    });
  }
});
