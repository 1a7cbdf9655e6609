// The types that `pylon init` gives an editor are those of the modules that run: the application compiles, so do the code
// blocks of the documentation, mistakes do not, and nothing is declared that the sources do not have or the reverse.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createAppFiles } from "../../src/cli/app-template.ts";
import { createSdk, SDK_MODULE_NAMES } from "../../src/sdk/sdk.ts";
import { type AppDir, createAppDir } from "./running-pylon.ts";

const ROOT = join(import.meta.dir, "..", "..");
const TSC = join(ROOT, "node_modules/.bin/tsc");
const made: AppDir[] = [];

function template(): Record<string, string> {
  const files = createAppFiles({ name: "shop", adminToken: "token" });
  return Object.fromEntries(files.map(({ path, text }) => [path, text]));
}

async function app(files: Readonly<Record<string, string>> = {}): Promise<AppDir> {
  const made_ = await createAppDir({ ...template(), ...files });
  made.push(made_);
  return made_;
}

/** What the compiler says; nothing when all is well. */
async function compile(dir: string, ...args: readonly string[]): Promise<string> {
  const run = Bun.spawn([TSC, "-p", dir, "--pretty", "false", ...args], { cwd: dir, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
  const exitCode = await run.exited;
  return exitCode === 0 ? "" : `${stdout}${stderr}` || `exit ${exitCode}`;
}

afterAll(async () => {
  for (const folder of made) await folder.remove();
});

test("the application of `pylon init` compiles", async () => {
  const { dir } = await app();
  expect(await compile(dir)).toBe("");
});

test("it compiles with the webhooks of its comment turned on, and beside the types of Bun", async () => {
  const text = template()["app.ts"] ?? "";
  const turnedOn = text.replace("{ app,", "{ app, definePlugin,").replace(/^\/\/ (?=definePlugin|  |\}\))/gm, "");
  expect(turnedOn).toContain('\ndefinePlugin("webhooks", {\n  hooks: [\n');
  const { dir } = await app({ "app.ts": turnedOn, "port.ts": "export const port = process.env.PORT ?? '1';\n" });
  expect(await compile(dir)).toBe("");
  expect(await compile(dir, "--typeRoots", join(ROOT, "node_modules"), "--types", "bun-types")).toBe("");
});

test("the code blocks of the documentation compile", async () => {
  const { dir } = await app();
  rmSync(join(dir, "functions"), { recursive: true });
  cpSync(join(ROOT, "fixtures/apps/seeds"), dir, {
    recursive: true,
    filter: (path) => !/(?:pylonsync\.d\.ts|tsconfig\.json|README\.md)$/.test(path),
  });
  const verify = `
    import { signWebhook, verifyWebhook } from "@pylonsync/webhooks";
    export async function receive(endpoint: { secret: string }, request: { headers: Record<string, string>; rawBody: string }) {
      const result = await verifyWebhook(
        endpoint.secret,
        {
          id: request.headers["webhook-id"],
          timestamp: request.headers["webhook-timestamp"],
          signature: request.headers["webhook-signature"],
        },
        request.rawBody,
      );
      if (result !== true) {
        throw new Error(\`bad signature: \${result}\`);
      }
    }
    export async function rotate(id: string, timestamp: number, body: string, oldSecret: string, newSecret: string) {
      return signWebhook({
        id, timestamp, body,
        secrets: [oldSecret, newSecret], // both signed
      });
    }`;
  const receiver = await createAppDir({ "receiver.ts": verify });
  made.push(receiver);
  cpSync(receiver.dir, dir, { recursive: true });
  expect(await compile(dir)).toBe("");
});

/** Each line has a mistake; with a type that says too little, the compiler finds the comment above it needless. */
const MISTAKES = `
import { app, buildManifest, definePlugin, entity, field, policy, cache, sendEmail } from "@pylonsync/sdk";
import { action, mutation, query, v } from "@pylonsync/functions";
import { verifyWebhook } from "@pylonsync/webhooks";
// @ts-expect-error no such export
import { nothing } from "@pylonsync/sdk";
// @ts-expect-error
app({ entitys: [] });
// @ts-expect-error
buildManifest({ entities: [{ name: "Order" }] });
// @ts-expect-error
field.text();
// @ts-expect-error
entity("Order", { total: "int" });
// @ts-expect-error
entity("Order", { total: field.int() }, { indexes: [{ name: "i", fields: ["totl"] }] });
// @ts-expect-error
policy({ name: "p", entity: "Order", allowReads: "true" });
// @ts-expect-error
definePlugin("webhooks");
definePlugin("stripe", { on: { "invoice.paid": async (ctx, event) => {
  // @ts-expect-error
  await ctx.db.insrt("Order", event);
} } });
// @ts-expect-error
v.text();
// @ts-expect-error
query({ handler: (ctx) => ctx.db.insert("Order", {}) });
// @ts-expect-error
query({ handler: (ctx) => ctx.scheduler });
// @ts-expect-error
mutation({ handler: (ctx) => ctx.runMutation("other") });
// @ts-expect-error
mutation({ args: { total: v.int() }, handler: (ctx, args) => args.totl });
// @ts-expect-error
mutation({ args: { total: v.int() }, handler: (ctx, args) => args.total.length });
// @ts-expect-error
mutation({ args: { note: v.optional(v.string()) }, handler: (ctx, args) => args.note.length });
// @ts-expect-error
mutation({ args: { kind: v.union(v.literal("a"), v.literal("b")) }, handler: (ctx, args) => args.kind === "c" });
// @ts-expect-error
mutation({ args: { o: v.object({ list: v.array(v.id("Order")) }) }, handler: (ctx, args) => args.o.list[0]?.toFixed() });
// @ts-expect-error
action({ handler: (ctx) => ctx.request.rawBody });
// @ts-expect-error
cache.set("key", 1, { ttl: 1 });
// @ts-expect-error
void sendEmail({ to: "a@example.com" });
// @ts-expect-error
void verifyWebhook("secret", {}, "body").then((result) => result === "WRONG");
`;

test("mistakes do not compile", async () => {
  const { dir } = await app({ "mistakes.ts": MISTAKES });
  expect(await compile(dir)).toBe("");
});

/** Every context that runs can stand where the declared one is expected, and has the same members. */
const CONTEXTS = `
import type * as declared from "@pylonsync/functions";
import type { v as declaredV } from "@pylonsync/functions";
import type * as sdk from "@pylonsync/sdk";
import type * as real from "${join(ROOT, "src/functions/contexts.ts")}";
import type { v as realV, Infer, InferArgs } from "${join(ROOT, "src/functions/validators.ts")}";
import type * as dsl from "${join(ROOT, "src/manifest/dsl.ts")}";
import type { EntityDef, Manifest, PolicyDef } from "${join(ROOT, "src/manifest/manifest.ts")}";
import type { PluginEntry } from "${join(ROOT, "src/manifest/merge.ts")}";

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;
type SameKeys<A, B> = Same<keyof A, keyof B>;
type Fits<A, B> = [A] extends [B] ? true : never;

export const fits: [
  Fits<real.QueryContext, declared.QueryContext>,
  Fits<real.MutationContext, declared.MutationContext>,
  Fits<real.ActionContext, declared.ActionContext>,
  Same<dsl.AppDefinition, sdk.AppDefinition>,
  Same<Manifest, sdk.Manifest>,
  Same<EntityDef, sdk.EntityDef>,
  Same<PolicyDef, sdk.PolicyDef>,
  Same<PluginEntry, sdk.PluginEntry>,
] = [true, true, true, true, true, true, true, true];

// What is generic is compared by assigning it: a conditional type does not unify type parameters.
type Dsl = Pick<typeof dsl, "app" | "buildManifest" | "entity" | "field" | "policy">;
type Declared = Pick<typeof sdk, keyof Dsl>;
declare const realDsl: Dsl, declaredDsl: Declared;
export const dslFits: Declared = realDsl;
export const declaredFits: Dsl = declaredDsl;

export const keys: [
  SameKeys<real.QueryContext, declared.QueryContext>,
  SameKeys<real.MutationContext, declared.MutationContext>,
  SameKeys<real.ActionContext, declared.ActionContext>,
  SameKeys<real.FunctionAuth, declared.FunctionAuth>,
  SameKeys<real.DbReader, declared.DbReader>,
  SameKeys<real.DbWriter, declared.DbWriter>,
  SameKeys<real.Scheduler, declared.Scheduler>,
  SameKeys<real.WebhookRequest, declared.WebhookRequest>,
  SameKeys<typeof realV, typeof declaredV>,
] = [true, true, true, true, true, true, true, true, true];

const realArgs = null as unknown as typeof realV;
const declaredArgs = null as unknown as typeof declaredV;
type Spec<V extends typeof realV | typeof declaredV> = {
  [K in "string" | "number" | "int" | "float" | "boolean" | "bool" | "datetime" | "null"]: ReturnType<V[K]>;
};
export const values: Same<InferArgs<Spec<typeof realV>>, declared.InferArgs<Spec<typeof declaredV>>> = true;
const realNested = realArgs.object({ a: realArgs.array(realArgs.literal("x")), b: realArgs.optional(realArgs.id("E")) });
const declaredNested = declaredArgs.object({
  a: declaredArgs.array(declaredArgs.literal("x")),
  b: declaredArgs.optional(declaredArgs.id("E")),
});
export const nested: Same<Infer<typeof realNested>, declared.Infer<typeof declaredNested>> = true;
`;

describe("the declarations and the sources", () => {
  test("have the same contexts, validators and definitions", async () => {
    const { dir } = await app({
      "contexts.ts": CONTEXTS,
      "tsconfig.json": JSON.stringify({
        extends: join(ROOT, "tsconfig.json"),
        compilerOptions: { types: [], noEmit: true },
        include: ["contexts.ts", "pylon-env.d.ts"],
      }),
    });
    expect(await compile(dir)).toBe("");
  });

  let declared: Map<string, Set<string>>;
  beforeAll(() => {
    const text = template()["pylon-env.d.ts"] ?? "";
    const modules = [...text.matchAll(/^declare module "([^"]+)" \{\n(.*?)^\}/gms)];
    declared = new Map(
      modules.map(([, name = "", body = ""]) => {
        const exports = body.matchAll(/^ {2}export (?:const|function) (\w+)/gm);
        return [name, new Set([...exports].map(([, value = ""]) => value))];
      }),
    );
  });

  test("have the same modules", () => {
    expect([...declared.keys()].toSorted()).toEqual([...SDK_MODULE_NAMES].toSorted());
  });

  test("declare every value that a module gives", () => {
    const { modules } = createSdk({
      sdkExports: { cache: {}, sendEmail: {}, isFeatureEnabled: {}, featureVariant: {} },
    });
    for (const name of SDK_MODULE_NAMES) {
      const { declares, acts } = modules[name];
      const given = [...Object.keys(declares), ...Object.keys(acts)];
      expect(given.filter((value) => !declared.get(name)?.has(value))).toEqual([]);
    }
    expect([...(declared.get("@pylonsync/functions") ?? [])].toSorted()).toEqual(["action", "mutation", "query", "v"]);
  });
});
