// How far outbound calls reach: by mode, and by what the plugins' configurations open.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createOutbound, type Mode } from "../../src/instance/outbound.ts";
import { app } from "../../src/manifest/dsl.ts";
import { choosePlugins, requireChoice } from "../../src/plugin/registry.ts";
import { netGuardPlugin } from "../../src/plugins/net-guard/net-guard-plugin.ts";

function open(mode: Mode, config?: Record<string, unknown>): ReturnType<typeof createOutbound> {
  const plugins = config ? [{ name: "net_guard", config }] : [];
  return createOutbound(requireChoice(choosePlugins(app({ plugins }), [netGuardPlugin], {})), mode);
}

function reaches(outbound: ReturnType<typeof createOutbound>, url: string): boolean {
  return outbound.guard.judgeUrl(url).kind !== "blocked";
}

describe("createOutbound()", () => {
  it("reaches this machine in development alone", () => {
    for (const url of ["http://127.0.0.1:9000/", "http://[::1]/"]) {
      assert.equal(reaches(open("dev"), url), true);
      assert.equal(reaches(open("serve"), url), false);
    }
    for (const mode of ["dev", "serve"] as const) {
      assert.equal(reaches(open(mode), "http://169.254.169.254/"), false);
      assert.equal(reaches(open(mode), "http://10.0.0.1/"), false);
      assert.equal(reaches(open(mode), "https://1.1.1.1/"), true);
    }
  });

  it("is opened by the configuration, and no further", () => {
    const outbound = open("serve", { allow_hosts: ["127.0.0.1:9000"], allow_cidrs: ["10.1.0.0/16"] });
    assert.equal(reaches(outbound, "http://127.0.0.1:9000/"), true);
    assert.equal(reaches(outbound, "http://127.0.0.1:9001/"), false);
    assert.equal(reaches(outbound, "http://10.1.2.3/"), true);
    assert.equal(reaches(outbound, "http://10.2.0.1/"), false);
  });

  it("guards functions when it is asked to", () => {
    assert.equal(open("serve").guardFunctions, false);
    assert.equal(open("serve", {}).guardFunctions, false);
    assert.equal(open("serve", { guard_functions: true }).guardFunctions, true);
  });
});
