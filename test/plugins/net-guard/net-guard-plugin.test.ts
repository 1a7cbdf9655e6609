// The configuration of the network guard, and how far a hook reaches with it.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createOutbound } from "../../../src/instance/outbound.ts";
import { parseManifest } from "../../../src/manifest/manifest.ts";
import { type Choice, choosePlugins } from "../../../src/plugin/registry.ts";
import { PLUGINS } from "../../../src/plugins.ts";
import { type AppOptions, withApp } from "../app-harness.ts";
import { theDelivery, webhooks } from "../webhooks/deliveries.ts";

function choose(config: unknown): Choice {
  const plugins = [{ name: "net_guard", config }];
  const manifest = parseManifest({ manifest_version: 1, name: "shop", version: "0.1.0", plugins });
  return choosePlugins(manifest, PLUGINS, {});
}

function pathsOf(config: unknown): string {
  return choose(config)
    .problems.map(({ path }) => path.replace("plugins.0.config.", ""))
    .join();
}

describe("the configuration of net_guard", () => {
  it("takes hosts with and without a port, addresses and blocks", () => {
    const allow_hosts = ["hooks.internal", "127.0.0.1:9000", "10.1.2.3", "[::1]:8080", "::1", "EXAMPLE.com:443"];
    assert.equal(pathsOf({ allow_hosts, allow_cidrs: ["10.0.0.0/8", "fd00::/8"], guard_functions: true }), "");
    assert.equal(pathsOf({}), "");
    assert.equal(pathsOf(undefined), "");
  });

  it("names each entry that it cannot read, and unknown keys", () => {
    const allow_hosts = ["ok.internal", "http://x/", "a b", "host:0", "host:65536", "u@host"];
    assert.equal(
      pathsOf({ allow_hosts, allow_cidrs: ["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8"] }),
      [1, 2, 3, 4, 5].map((index) => `allow_hosts.${index}`).join() + ",allow_cidrs.0,allow_cidrs.1",
    );
    assert.equal(pathsOf({ allow_host: [] }), "allow_host");
    assert.equal(pathsOf({ allow_hosts: [""] }), "allow_hosts.0");
    assert.equal(pathsOf({ guard_functions: "yes" }), "guard_functions");
  });

  it("says whether functions are guarded as well", () => {
    assert.equal(createOutbound(choose({}).chosen, "serve").guardFunctions, false);
    assert.equal(createOutbound(choose({ guard_functions: true }).chosen, "serve").guardFunctions, true);
    assert.equal(createOutbound([], "serve").guardFunctions, false);
  });
});

interface Reach {
  readonly url: string;
  readonly config?: unknown;
  readonly mode?: AppOptions["mode"];
  /** What every name resolves to. */
  readonly address?: string;
}

/** The address that a hook's delivery was sent to, or the code of what kept it. */
async function reach({ url, config, mode = "serve", address }: Reach): Promise<string> {
  let outcome = "";
  const guard = config === undefined ? [] : [{ name: "net_guard", config }];
  const names = address === undefined ? {} : { [new URL(url).hostname.replace(/\.$/, "")]: [address] };
  const plugins = [webhooks({ url, retry: { max_attempts: 1 } }), ...guard];
  await withApp({ plugins, mode, names }, async (app) => {
    await app.insert("Order", { total: 1 });
    await app.rest();
    const { lastError } = await theDelivery(app);
    outcome = app.sent[0]?.address ?? String(lastError).replace(/:.*/, "");
  });
  return outcome;
}

describe("how far a hook reaches", () => {
  it("to public addresses, with no configuration at all", async () => {
    assert.equal(await reach({ url: "https://hooks.example.com/" }), "93.184.216.34");
  });

  it("not to private ones, whether or not the plugin is configured", async () => {
    for (const config of [undefined, {}]) {
      assert.equal(await reach({ url: "http://127.0.0.1:9000/", config }), "NET_BLOCKED");
      assert.equal(await reach({ url: "http://2130706433/", config }), "NET_BLOCKED");
      assert.equal(await reach({ url: "http://localhost:9000/", config }), "NET_BLOCKED");
      assert.equal(await reach({ url: "http://[::1]/", config }), "NET_BLOCKED");
      assert.equal(await reach({ url: "https://hooks.example.com/", config, address: "10.0.0.1" }), "NET_BLOCKED");
      assert.equal(await reach({ url: "http://hooks.internal/", config, address: "1.1.1.1" }), "NET_BLOCKED");
    }
  });

  it("to this machine in dev, and to no other private one", async () => {
    assert.equal(await reach({ url: "http://127.0.0.1:9000/", mode: "dev" }), "127.0.0.1");
    assert.equal(await reach({ url: "http://localhost:9000/", mode: "dev", address: "127.0.0.1" }), "127.0.0.1");
    assert.equal(await reach({ url: "http://10.0.0.1/", mode: "dev" }), "NET_BLOCKED");
    assert.equal(await reach({ url: "http://169.254.169.254/", mode: "dev" }), "NET_BLOCKED");
  });

  it("to an allowed host at every port when the entry names none", async () => {
    const config = { allow_hosts: ["hooks.internal", "127.0.0.1"] };
    const address = "10.0.0.7";
    assert.equal(await reach({ url: "http://hooks.internal/", config, address }), address);
    assert.equal(await reach({ url: "http://HOOKS.internal.:8080/", config, address }), address);
    assert.equal(await reach({ url: "http://hooks.internal:8080/", config, address }), address);
    assert.equal(await reach({ url: "http://127.0.0.1:1234/", config }), "127.0.0.1");
    assert.equal(await reach({ url: "http://other.internal/", config, address }), "NET_BLOCKED");
    assert.equal(await reach({ url: "http://x.hooks.internal/", config, address }), "NET_BLOCKED");
  });

  it("to an allowed host at its port alone when the entry names one", async () => {
    const config = { allow_hosts: ["127.0.0.1:9000", "hooks.internal:443"] };
    assert.equal(await reach({ url: "http://127.0.0.1:9000/", config }), "127.0.0.1");
    assert.equal(await reach({ url: "http://127.0.0.1:9001/", config }), "NET_BLOCKED");
    assert.equal(await reach({ url: "http://127.0.0.1/", config }), "NET_BLOCKED");
    assert.equal(await reach({ url: "https://hooks.internal/", config, address: "10.0.0.7" }), "10.0.0.7");
    assert.equal(await reach({ url: "http://hooks.internal/", config, address: "10.0.0.7" }), "NET_BLOCKED");
  });

  it("to an allowed block, by literal and by name", async () => {
    const config = { allow_cidrs: ["10.0.0.0/24"] };
    assert.equal(await reach({ url: "http://10.0.0.9/", config }), "10.0.0.9");
    assert.equal(await reach({ url: "http://10.0.1.9/", config }), "NET_BLOCKED");
    assert.equal(await reach({ url: "http://hooks.example.com/", config, address: "10.0.0.9" }), "10.0.0.9");
  });
});
