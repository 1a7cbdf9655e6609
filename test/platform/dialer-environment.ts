// What the environment must not change about a dialer, each case in a process of its own: proxies and trust.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { listenHttp, listenHttps } from "../net/loopback-server.ts";

const CHILD = fileURLToPath(new URL("./dial-child.ts", import.meta.url));
const RUN_ARGUMENTS = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
const PROXY_VARIABLES = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];

interface ChildResult {
  readonly control: string;
  readonly outcomes: readonly string[];
}

function cleanEnvironment(): Record<string, string | undefined> {
  const hidden = [...PROXY_VARIABLES, "node_use_env_proxy", "node_tls_reject_unauthorized"];
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !hidden.includes(name.toLowerCase())));
}

async function runChild(
  parameters: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<ChildResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [...RUN_ARGUMENTS, CHILD, ...parameters], {
    env: { ...cleanEnvironment(), ...environment },
    timeout: 30_000,
  });
  return JSON.parse(stdout) as ChildResult;
}

function proxyVariables(proxyUrl: string, toName: (name: string) => string): Record<string, string> {
  const names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(toName);
  return Object.fromEntries(names.map((name) => [name, proxyUrl]));
}

/** Declares the tests of one dialer; `kind` is what the child opens. */
export function describeDialerEnvironment(name: string, kind: "bun" | "deno"): void {
  describe(`${name}: environment`, () => {
    const cases: readonly (readonly [string, (name: string) => string, Readonly<Record<string, string>>])[] = [
      ["upper-case proxy variables", (variable) => variable, { NODE_USE_ENV_PROXY: "1" }],
      ["lower-case proxy variables", (variable) => variable.toLowerCase(), { NODE_USE_ENV_PROXY: "1" }],
      ["proxy variables with exceptions", (variable) => variable, { NO_PROXY: "example.com" }],
    ];
    for (const [what, toName, more] of cases) {
      it(`goes past ${what}`, async () => {
        let proxied = 0;
        await using proxy = await listenHttp((_request, response) => response.end(`proxied ${++proxied}`));
        await using plain = await listenHttp((_request, response) => response.end("direct"));
        await using secure = await listenHttps("hooks", (_request, response) => response.end("direct"));
        const urls = [`http://hooks.pylon.test:${plain.port}/`, `https://hooks.pylon.test:${secure.port}/`];
        const environment = { ...proxyVariables(`http://127.0.0.1:${proxy.port}`, toName), ...more };
        const result = await runChild([kind, "trusted", "http://control.invalid/", ...urls], environment);
        // The control goes to the proxy, so the variables do work in that process.
        assert.equal(result.control, "proxied 1");
        assert.deepEqual(result.outcomes, ["direct", "direct", "direct", "direct"]);
        assert.equal(proxy.connections(), 1);
      });
    }

    it("checks certificates although the environment says not to", async () => {
      await using secure = await listenHttps("hooks", (_request, response) => response.end("direct"));
      const urls = [`https://hooks.pylon.test:${secure.port}/`, `https://127.0.0.1:${secure.port}/`];
      const result = await runChild([kind, "default", "http://control.invalid/", ...urls], {
        NODE_TLS_REJECT_UNAUTHORIZED: "0",
      });
      assert.deepEqual(result.outcomes, ["NET_TLS", "NET_TLS", "NET_TLS", "NET_TLS"]);
      const trusted = await runChild([kind, "trusted", "http://control.invalid/", ...urls], {
        NODE_TLS_REJECT_UNAUTHORIZED: "0",
      });
      assert.deepEqual(trusted.outcomes, ["direct", "NET_TLS", "direct", "NET_TLS"]);
    });
  });
}
