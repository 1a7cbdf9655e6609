// What every plugin must keep, whatever it does: it refuses what it does not know, it can be there twice and be closed
// twice, it shares nothing between instances, and its routes ask who is calling.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Env } from "../../src/core/env.ts";
import { app } from "../../src/manifest/dsl.ts";
import { checkManifest, parseManifest, type Manifest } from "../../src/manifest/manifest.ts";
import type { Plugin, PluginParts } from "../../src/plugin/plugin.ts";
import { choosePlugins, type Choice } from "../../src/plugin/registry.ts";
import type { Route } from "../../src/plugin/route.ts";
import { type AppOptions, ORDER, type TestApp, withApp } from "../plugins/app-harness.ts";

export interface PluginCase {
  readonly plugin: Plugin;
  /** A configuration that fits, with as many parts of the plugin in it as possible. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What the configuration needs of the environment, and nothing more. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default an `Order` with a `total` and some optional fields */
  readonly entities?: readonly unknown[];
}

const PLUGIN_NAME = /^[a-z][a-z0-9_]*$/;
/** No entity can have such a name. */
const TABLE_NAME = /^_[a-z0-9_]+$/;

function manifestOf({ plugin, entities = [ORDER] }: PluginCase, config: object): Manifest {
  return parseManifest({ ...app(), entities, plugins: [{ name: plugin.name, config }] });
}

function choose(example: PluginCase, config: object, env: Env = example.env ?? {}): Choice {
  return choosePlugins(manifestOf(example, config), [example.plugin], env);
}

function appOf({ plugin, config, env = {}, entities = [ORDER] }: PluginCase): AppOptions {
  return { plugins: [{ name: plugin.name, config }], entities, env };
}

/** The plugin under another name, so that it can stand beside itself, telling what it sets up. */
function spyOn({ plugin }: PluginCase, see: (parts: PluginParts) => void): Plugin {
  return {
    ...plugin,
    name: `${plugin.name}_spied`,
    async setup(config, host) {
      const parts = await plugin.setup(config, host);
      see(parts);
      return parts;
    },
  };
}

/** What the plugin sets up, in an instance that is closed again. */
async function partsOf(example: PluginCase): Promise<PluginParts> {
  let parts: PluginParts = {};
  const plugin = spyOn(example, (seen) => {
    parts = seen;
  });
  await withApp({ ...appOf({ ...example, plugin }), extra: [plugin] }, async () => undefined);
  return parts;
}

async function routesOf(example: PluginCase): Promise<readonly Route[]> {
  return (await partsOf(example)).routes ?? [];
}

/** A request that the route answers, for its path and method. */
function targetOf({ method, path }: Route): string {
  return `${method === "ALL" ? "POST" : method} ${path.replaceAll(/:\w+(?:\{[^}]*\})?/g, "x").replaceAll("*", "x")}`;
}

async function askAs(instance: TestApp, route: Route, token: string | undefined): Promise<[number, unknown]> {
  const body = route.body ? { json: {} } : {};
  const { status, code } = await instance.ask(targetOf(route), { ...body, ...(token === undefined ? {} : { token }) });
  return [status, code];
}

/** Declares the tests of one plugin. */
export function describePlugin(name: string, example: PluginCase): void {
  describe(`the plugin ${name}`, () => {
    it("has a name, tables and entities that collide with nobody's", () => {
      assert.match(example.plugin.name, PLUGIN_NAME);
      for (const table of example.plugin.tables ?? []) assert.match(table.name, TABLE_NAME);
      const entities = (example.plugin.entities ?? []).map(({ def }) => def);
      const policies = example.plugin.policies ?? [];
      assert.deepEqual(checkManifest({ ...app(), entities, policies }), []);
    });

    it("takes its configuration", () => {
      assert.deepEqual(choose(example, example.config).problems, []);
    });

    it("refuses a key that it does not know, and says which", () => {
      const { problems } = choose(example, { ...example.config, surprise_key: true });
      assert.deepEqual(
        problems.map(({ path }) => path),
        ["plugins.0.config.surprise_key"],
      );
    });

    it("names each variable that is missing, and shows the value of none", () => {
      const env = example.env ?? {};
      for (const missing of Object.keys(env)) {
        const others = Object.fromEntries(Object.entries(env).filter(([variable]) => variable !== missing));
        const { problems } = choose(example, example.config, others);
        assert.ok(problems.some(({ missingEnv }) => missingEnv === missing));
        const text = JSON.stringify(problems);
        for (const value of Object.values(env)) assert.ok(!text.includes(value));
      }
    });

    it("works in two instances at once, sharing nothing", () =>
      withApp(appOf(example), (first) =>
        withApp(appOf(example), async (second) => {
          for (const [key, value] of Object.entries(first.pylon.sdk)) assert.notEqual(value, second.pylon.sdk[key]);
          await first.pylon.close({ drainMs: 0, closeStore: false });
          const answer = await second.ask("GET /api/entities/Order", { token: "admin" });
          assert.equal(answer.status, 200);
          assert.equal((await first.ask("GET /api/entities/Order", { token: "admin" })).status, 503);
        }),
      ));

    it("closes twice", async () => {
      const parts = await partsOf(example);
      await parts.close?.();
    });

    it("asks who is calling, as each of its routes declares", async () => {
      const routes = await routesOf(example);
      await withApp(appOf(example), async (instance) => {
        const { token } = await instance.pylon.auth.sessions.mint("usr_1", {});
        for (const route of routes) {
          const at = targetOf(route);
          const [anonymous, stranger] = [await askAs(instance, route, undefined), await askAs(instance, route, token)];
          if (route.access !== "anyone") assert.deepEqual(anonymous, [401, "AUTH_REQUIRED"], at);
          if (route.access === "admin") assert.deepEqual(stranger, [403, "ADMIN_ONLY"], at);
          assert.deepEqual(await askAs(instance, route, "not-a-token"), [401, "INVALID_TOKEN"], at);
          const [status] = await askAs(instance, route, "admin");
          assert.ok(status !== 401 && status !== 403 && status < 500, `${at} answered ${status} to admin`);
        }
      });
    });

    it("describes each of its routes", async () => {
      for (const route of await routesOf(example)) {
        assert.match(route.path, /^\//);
        assert.notEqual(route.summary, "");
        assert.notEqual(route.tag, "");
        assert.ok(Object.keys(route.answers).length > 0, targetOf(route));
      }
    });
  });
}
