// Settings from the environment: defaults, every bad value at once, and no value of a secret in what is said about it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { isPylonError, type PylonError } from "../../src/core/errors.ts";
import { readSettings } from "../../src/instance/settings.ts";

type Env = Readonly<Record<string, string>>;

function refusal(env: Env): PylonError {
  try {
    readSettings(env, "serve");
  } catch (error) {
    assert.ok(isPylonError(error, "CONFIG_INVALID"));
    return error;
  }
  throw new assert.AssertionError({ message: `Expected a refusal of ${JSON.stringify(env)}` });
}

describe("readSettings()", () => {
  it("has defaults for everything, and takes empty variables for none", () => {
    const defaults = {
      adminToken: null,
      corsOrigins: [],
      maxBodyBytes: 10 * 1024 * 1024,
      functionTimeoutMs: 30_000,
      drainMs: 10_000,
      logRequests: true,
      runJobs: true,
    };
    const names = [
      "PYLON_ADMIN_TOKEN",
      "PYLON_CORS_ORIGIN",
      "PYLON_MAX_BODY_BYTES",
      "PYLON_FN_TIMEOUT_MS",
      "PYLON_DRAIN_SECS",
      "PYLON_LOG_REQUESTS",
      "PYLON_JOBS",
    ];
    assert.deepEqual(readSettings({}, "serve"), defaults);
    assert.deepEqual(readSettings(Object.fromEntries(names.map((name) => [name, ""])), "serve"), defaults);
    assert.deepEqual(readSettings({}, "dev"), { ...defaults, corsOrigins: ["*"] });
  });

  it("reads what is given", () => {
    const env = {
      PYLON_ADMIN_TOKEN: "s3cret-~token",
      PYLON_CORS_ORIGIN: "https://a.example.com, http://localhost:3000",
      PYLON_MAX_BODY_BYTES: "1024",
      PYLON_FN_TIMEOUT_MS: "1",
      PYLON_DRAIN_SECS: "0.5",
      PYLON_LOG_REQUESTS: "off",
      PYLON_JOBS: "off",
    };
    assert.deepEqual(readSettings(env, "dev"), {
      adminToken: "s3cret-~token",
      corsOrigins: ["https://a.example.com", "http://localhost:3000"],
      maxBodyBytes: 1_024,
      functionTimeoutMs: 1,
      drainMs: 500,
      logRequests: false,
      runJobs: false,
    });
    assert.equal(readSettings({ PYLON_DRAIN_SECS: "0" }, "serve").drainMs, 0);
  });

  const refused: readonly (readonly [string, readonly string[]])[] = [
    ["PYLON_MAX_BODY_BYTES", ["0", "-1", "1.5", "10MB", " ", "0x10", "1e3", "NaN", "Infinity", "1073741825"]],
    ["PYLON_FN_TIMEOUT_MS", ["0", "soon", "1.5", "3600001"]],
    ["PYLON_DRAIN_SECS", ["-1", "3601", " ", "1e1", "10s"]],
    ["PYLON_LOG_REQUESTS", ["false", "0", "ON", "no"]],
    ["PYLON_JOBS", ["true", "none"]],
    ["PYLON_ADMIN_TOKEN", ["short", "with space inside", "пароль-пароль", "line\nbreak-1"]],
    ["PYLON_CORS_ORIGIN", ["example.com", "https://a.example.com/", "https://a.example.com,", "HTTPS://A.example.com"]],
  ];
  for (const [name, values] of refused) {
    it(`refuses values of ${name} that it would have to guess about`, () => {
      for (const value of values) {
        const error = refusal({ [name]: value });
        assert.deepEqual(
          error.details?.map(({ path }) => path),
          [name],
          value,
        );
        assert.ok(error.message.startsWith(`${name}: `));
      }
    });
  }

  it("reports every bad value at once", () => {
    const env = Object.fromEntries(refused.map(([name, values]) => [name, values[0] ?? ""]));
    assert.deepEqual(
      refusal(env)
        .details?.map(({ path }) => path)
        .toSorted(),
      refused.map(([name]) => name).toSorted(),
    );
    const origins = refusal({ PYLON_CORS_ORIGIN: "x,https://ok.example.com,y" });
    assert.equal(origins.details?.length, 2);
  });

  it("never shows the token", () => {
    const token = "bad token";
    const error = refusal({ PYLON_ADMIN_TOKEN: token, PYLON_JOBS: "x" });
    assert.ok(!JSON.stringify([error.message, error.details, error.hint]).includes(token));
  });
});
