// The OpenAPI document of a real application: sound in itself, and true of what is served.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { isObject, type JsonObject } from "../../src/core/json.ts";
import { action, mutation, query } from "../../src/functions/define.ts";
import { v } from "../../src/functions/validators.ts";
import { type ApiParts, describeApi } from "../../src/http/openapi.ts";
import { defineRoute, type Route } from "../../src/plugin/route.ts";
import { ADMIN_TOKEN } from "../auth/auth-harness.ts";
import { type Answer, fieldsOf, type Stack, textOf, withStack } from "./assembled-stack.ts";
import { findProblems, operationsOf, resolveRef } from "./openapi-checks.ts";

const SECRET_RULE = "auth.userId == data.userId";
const MANIFEST = {
  manifest_version: 1,
  name: "shop",
  version: "0.1.0",
  entities: [
    {
      name: "Order",
      fields: [
        { name: "userId", type: "id(Customer)" },
        { name: "total", type: "int" },
        { name: "code", type: "string", unique: true },
        { name: "weight", type: "float", optional: true },
        { name: "paid", type: "bool", optional: true },
        { name: "placedAt", type: "datetime", optional: true },
        { name: "notes", type: "richtext", optional: true },
        { name: "extra", type: "json", optional: true },
        { name: "limit", type: "int", optional: true },
      ],
    },
    { name: "Customer", fields: [{ name: "email", type: "string" }] },
    { name: "OrderInput", fields: [{ name: "raw", type: "json" }] },
    { name: "Error", fields: [{ name: "text", type: "string" }] },
    { name: "Ledger", fields: [{ name: "entry", type: "string" }] },
  ],
  policies: [{ name: "own", entity: "Order", allow: SECRET_RULE }],
};

const DEFINITIONS = {
  "place-order": mutation({ args: { total: v.int(), note: v.optional(v.string()) }, handler: () => ({ ok: true }) }),
  placeOrder: query({ handler: () => 1 }),
  stripe: action({ args: { dry: v.optional(v.boolean()) }, handler: () => null }),
  github: action({ handler: () => null }),
};

const category: z.ZodType = z.object({
  name: z.string(),
  get children() {
    return z.array(category);
  },
});
const money = z.object({ amount: z.int(), currency: z.string() }).meta({ id: "Money" });

const PLUGIN_ROUTES: readonly Route[] = [
  defineRoute({
    method: "POST",
    path: "/api/webhooks/stripe",
    access: "anyone",
    tag: "stripe",
    summary: "Take an event of Stripe",
    rawBody: true,
    answers: { 200: { description: "Recorded", schema: { type: "object" } } },
    handle: () => Promise.resolve({ status: 200, json: { received: true } }),
  }),
  defineRoute({
    method: "PUT",
    path: "/api/things/:thingId{[0-9]+}/tree",
    access: "admin",
    tag: "things",
    summary: "Recursion and a pattern",
    body: category,
    answers: { 204: { description: "Kept" } },
    handle: () => Promise.resolve({ status: 204 }),
  }),
  defineRoute({
    method: "POST",
    path: "/api/things/:id/tree",
    access: "user",
    tag: "things",
    summary: "The same shape with another name",
    body: z.strictObject({ price: money, tip: money.optional(), when: z.date(), size: z.bigint().optional() }),
    query: z.strictObject({ dry: z.enum(["yes", "no"]).default("no"), since: z.iso.datetime() }),
    answers: { 200: { description: "Text", schema: { type: "string", contentMediaType: "text/csv" } } },
    handle: () => Promise.resolve({ status: 200, text: "" }),
  }),
  defineRoute({
    method: "ALL",
    path: "/assets/*",
    access: "anyone",
    tag: "things",
    summary: "Anything below",
    answers: {},
    handle: () => Promise.resolve({ status: 404 }),
  }),
];

const PARTS: ApiParts = {
  name: "shop",
  version: "1",
  routes: PLUGIN_ROUTES,
  entities: [],
  functions: [],
  publicUrl: null,
};

function withDocument(run: (document: JsonObject, stack: Stack) => Promise<void> | void): Promise<void> {
  const options = { manifest: MANIFEST, definitions: DEFINITIONS, readOnly: ["Ledger"], pluginRoutes: PLUGIN_ROUTES };
  return withStack(options, async (stack) => {
    const answer = await stack.ask("GET /api/openapi.json");
    assert.equal(answer.status, 200);
    await run(fieldsOf(answer) as JsonObject, stack);
  });
}

function at(value: unknown, ...path: readonly string[]): unknown {
  let node = value;
  for (const key of path) node = isObject(node) ? node[key] : undefined;
  return node;
}

function schemaOf(document: unknown, name: string): Readonly<Record<string, unknown>> {
  const schema = at(document, "components", "schemas", name);
  assert.ok(isObject(schema), name);
  return schema;
}

function methodsOf(document: unknown, path: string): string[] {
  return Object.keys(at(document, "paths", path) ?? {});
}

function parametersOf(document: unknown, path: string, method: string): Readonly<Record<string, unknown>>[] {
  const list = at(document, "paths", path, method, "parameters") as Record<string, unknown>[];
  return list.map((item) => ("$ref" in item ? resolveRef(document, item["$ref"] as string) : item) as typeof item);
}

/** A checker of values for a schema of the document. */
function checkerOf(document: JsonObject, schema: unknown): z.ZodType {
  const rehomed = JSON.stringify({ ...(schema as object), $defs: at(document, "components", "schemas") });
  return z.fromJSONSchema(JSON.parse(rehomed.replaceAll("#/components/schemas/", "#/$defs/")) as never);
}

describe("the OpenAPI document", () => {
  it("is sound: references, parameters, ids, schemas", () =>
    withDocument((document) => {
      assert.deepEqual(findProblems(document), []);
      assert.equal(document["jsonSchemaDialect"], "https://json-schema.org/draft/2020-12/schema");
    }));

  it("lists every route that is served under every method", () =>
    withDocument((document, stack) => {
      const described = new Set(
        operationsOf(document).map(({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, "{}")}`),
      );
      const generic = ["/api/entities/:entity", "/api/fn/:name", "/api/webhooks/:name"];
      for (const { method, path } of stack.routes.filter((route) => !generic.some((g) => route.path.startsWith(g)))) {
        const shape = path.replaceAll(/:\w+(\{.+?\})?|\*/g, "{}");
        const methods = method === "ALL" ? ["get", "post", "put", "patch", "delete"] : [method.toLowerCase()];
        for (const name of methods) assert.ok(described.has(`${name} ${shape}`), `${name} ${shape}`);
      }
      for (const name of ["/api/entities/{entity}", "/api/fn/{name}", "/api/webhooks/{name}"]) {
        assert.deepEqual(methodsOf(document, name), []);
      }
    }));

  it("says who may call and keeps the policies to itself", () =>
    withDocument((document) => {
      const session = at(document, "paths", "/api/auth/session", "post");
      assert.equal(at(session, "x-pylon-access"), "admin");
      assert.deepEqual(at(session, "security"), [{ bearer: [] }]);
      assert.ok(at(session, "responses", "403"));
      const me = at(document, "paths", "/api/auth/me", "get");
      assert.equal(at(me, "x-pylon-access"), "anyone");
      assert.deepEqual(at(me, "security"), [{}, { bearer: [] }, { apiKey: [] }]);
      assert.equal(JSON.stringify(document).includes(SECRET_RULE), false);
    }));

  it("offers Idempotency-Key exactly where it is honoured", () =>
    withDocument((document, stack) => {
      const offers = (path: string, method: string): boolean =>
        parametersOf(document, path, method).some(({ name }) => name === "Idempotency-Key");
      assert.equal(offers("/api/entities/Order", "post"), true);
      assert.equal(offers("/api/fn/placeOrder", "post"), true);
      assert.equal(offers("/api/entities/Order", "get"), false);
      assert.equal(offers("/api/auth/session", "post"), false);
      for (const route of stack.routes.filter(({ path }) => path.startsWith("/api/auth/"))) {
        const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
        assert.equal(offers(path, route.method.toLowerCase()), route.idempotency !== undefined, path);
      }
    }));

  it("enumerates the codes of errors", () =>
    withDocument((document) => {
      const [known] = schemaOf(document, "ErrorCode")["anyOf"] as { enum: string[] }[];
      for (const code of ["INVALID_TOKEN", "POLICY_DENIED", "CONFLICT", "FN_NOT_FOUND", "IDEMPOTENCY_MISMATCH"]) {
        assert.ok(known?.enum.includes(code), code);
      }
      const meaning = at(document, "components", "responses", "Error401", "description");
      assert.match(meaning as string, /`INVALID_TOKEN`/);
    }));

  it("takes the address it was read from for its server when there is no other", () => {
    assert.deepEqual(describeApi(PARTS)["servers"], [{ url: "/" }]);
  });

  it("is the same for the same parts and changes none of them", () => {
    const frozen = structuredClone({ ...PARTS, routes: [] });
    assert.deepEqual(describeApi(PARTS), describeApi(PARTS));
    describeApi(frozen);
    assert.deepEqual(frozen, { ...PARTS, routes: [] });
  });
});

describe("the checks of these tests", () => {
  const tree = ["paths", "/api/things/{thingId}/tree"];
  const schema = ["components", "schemas", "Spoiled"];

  /** The problems of a sound document in which one place holds `value`. */
  function problemsWith(path: readonly string[], value: unknown): string {
    const document = structuredClone(describeApi(PARTS)) as unknown;
    const holder = at(document, ...path.slice(0, -1));
    assert.ok(isObject(holder), path.join("."));
    holder[path.at(-1) ?? ""] = value;
    return findProblems(document).join("\n");
  }

  const wrongs: [RegExp, string[], unknown][] = [
    [/Not 3\.1/, ["openapi"], "3.0.3"],
    [/No target/, [...tree, "put", "responses", "404"], { $ref: "#/components/responses/Nowhere" }],
    [/Repeated operation ids/, [...tree, "put", "operationId"], "postThingsByIdTree"],
    [/Path parameters differ/, [...tree, "put", "parameters"], []],
    [/Unknown tag/, [...tree, "put", "tags"], ["nowhere"]],
    [/Unknown scheme/, [...tree, "put", "security"], [{ basic: [] }]],
    [/No answers/, [...tree, "put", "responses"], {}],
    [/No description/, [...tree, "put", "responses", "204"], {}],
    [/Not a method/, [...tree, "fetch"], {}],
    [/Not a template/, ["paths", "/things/:id"], { get: {} }],
    [/Two paths of one shape/, ["paths", "/api/things/{x}/tree"], {}],
    [/Name of a component/, ["components", "schemas", "a b"], {}],
    [/Not a keyword/, schema, { type: "string", nullable: true }],
    [/Not a type/, schema, { type: "int" }],
    [/Required but not there/, schema, { type: "object", required: ["a"] }],
    [/Not a number/, schema, { exclusiveMinimum: true }],
    [/Not a schema/, schema, { anyOf: ["string"] }],
  ];

  for (const [expected, path, value] of wrongs) {
    it(`find: ${expected.source}`, () => assert.match(problemsWith(path, value), expected));
  }
});

describe("entities in the OpenAPI document", () => {
  it("have paths of their own, read-only ones for reading alone", () =>
    withDocument((document) => {
      assert.deepEqual(methodsOf(document, "/api/entities/Order").toSorted(), ["get", "post"]);
      assert.deepEqual(methodsOf(document, "/api/entities/Order/{id}").toSorted(), ["delete", "get", "patch"]);
      assert.deepEqual(methodsOf(document, "/api/entities/Ledger"), ["get"]);
      assert.deepEqual(methodsOf(document, "/api/entities/Ledger/{id}"), ["get"]);
      assert.equal(at(document, "components", "schemas", "LedgerInput"), undefined);
      assert.equal(at(document, "paths", "/api/entities/Order", "post", "operationId"), "createOrder");
    }));

  it("say what is required, null and unknown", () =>
    withDocument((document) => {
      const input = schemaOf(document, "OrderInput_2");
      assert.deepEqual(input["required"], ["userId", "total", "code"]);
      assert.equal(input["additionalProperties"], false);
      assert.deepEqual(at(input, "properties", "paid"), { type: ["boolean", "null"] });
      assert.deepEqual(at(input, "properties", "placedAt"), { type: ["string", "null"], format: "date-time" });
      assert.match(at(input, "properties", "userId", "description") as string, /Customer/);
      const patch = schemaOf(document, "OrderPatch");
      assert.equal(patch["required"], undefined);
      const row = schemaOf(document, "Order");
      assert.deepEqual(row["required"], [
        "id",
        "userId",
        "total",
        "code",
        "weight",
        "paid",
        "placedAt",
        "notes",
        "extra",
        "limit",
      ]);
      assert.equal(
        at(schemaOf(document, "OrderInput"), "properties", "id", "readOnly"),
        true,
        "an entity keeps its name",
      );
      assert.deepEqual(schemaOf(document, "Error_2")["required"], ["id", "text"]);
    }));

  it("can be filtered by every field that can be compared", () =>
    withDocument((document) => {
      const names = parametersOf(document, "/api/entities/Order", "get").map(({ name }) => name);
      const filters = ["userId", "total", "code", "weight", "paid", "placedAt", "notes"];
      assert.deepEqual(names, ["limit", "cursor", "order", "id", ...filters, "X-Request-Id"]);
    }));

  it("are answered as they are described", () =>
    withDocument(async (document, stack) => {
      const answerOf = (path: string, method: string, status: string): z.ZodType =>
        checkerOf(
          document,
          at(document, "paths", path, method, "responses", status, "content", "application/json", "schema"),
        );
      const assertFits = (answer: Answer, path: string, method: string): void => {
        const result = answerOf(path, method, String(answer.status)).safeParse(answer.json);
        assert.ok(result.success, `${method} ${path}: ${answer.text}: ${result.error?.message}`);
      };
      const [list, one] = ["/api/entities/Order", "/api/entities/Order/{id}"];
      const token = ADMIN_TOKEN;
      const json = {
        userId: "c1",
        total: 5,
        code: "a",
        paid: true,
        placedAt: "2026-04-28T10:32:00Z",
        extra: { a: [1] },
      };
      const body = at(document, "paths", list, "post", "requestBody", "content", "application/json", "schema");
      assert.equal(checkerOf(document, body).safeParse(json).success, true);
      assert.equal(checkerOf(document, body).safeParse({ ...json, id: "x" }).success, false);
      assert.equal(checkerOf(document, body).safeParse({ ...json, total: null }).success, false);

      const created = await stack.ask(`POST ${list}`, { token, json });
      assert.equal(created.status, 201);
      assertFits(created, list, "post");
      const target = `${list}/${textOf(created, "id")}`;
      assertFits(await stack.ask(`GET ${list}`, { token }), list, "get");
      assertFits(await stack.ask(`GET ${target}`, { token }), one, "get");
      assertFits(await stack.ask(`PATCH ${target}`, { token, json: { weight: 1.5, extra: null } }), one, "patch");
      assertFits(await stack.ask(`DELETE ${target}`, { token }), one, "delete");
      const error = checkerOf(document, { $ref: "#/components/schemas/Error" });
      assert.ok(error.safeParse((await stack.ask(`GET ${target}`, { token })).json).success);
      assert.ok(error.safeParse((await stack.ask(`POST ${list}`, { token, json: {} })).json).success);
    }));

  it("are paged and ordered within the bounds that are described", () =>
    withDocument(async (document, stack) => {
      const parameters = parametersOf(document, "/api/entities/Order", "get");
      const schemaBy = (name: string): Readonly<Record<string, unknown>> =>
        parameters.find((parameter) => parameter["name"] === name)?.["schema"] as Record<string, unknown>;
      const { maximum, default: pageSize } = schemaBy("limit") as { maximum: number; default: number };
      const status = async (search: string): Promise<number> =>
        (await stack.ask(`GET /api/entities/Order?${search}`, { token: ADMIN_TOKEN })).status;
      assert.equal(await status(`limit=${maximum}`), 200);
      assert.equal(await status(`limit=${maximum + 1}`), 400);
      for (const order of schemaBy("order")["enum"] as string[])
        assert.equal(await status(`order=${order}`), 200, order);
      assert.equal(await status("order=extra"), 400);

      const json = Array.from({ length: pageSize + 1 }, (_, index) => ({
        op: "insert",
        entity: "Customer",
        data: { email: `c${index}@example.com` },
      }));
      assert.equal((await stack.ask("POST /api/transact", { token: ADMIN_TOKEN, json })).status, 200);
      const page = await stack.ask("GET /api/entities/Customer", { token: ADMIN_TOKEN });
      assert.equal((fieldsOf(page)["data"] as unknown[]).length, pageSize);
    }));
});

describe("functions in the OpenAPI document", () => {
  it("have paths of their own with their arguments", () =>
    withDocument((document) => {
      const call = at(document, "paths", "/api/fn/place-order", "post");
      assert.equal(at(call, "x-pylon-kind"), "mutation");
      assert.equal(at(call, "requestBody", "required"), true);
      const schema = at(call, "requestBody", "content", "application/json", "schema");
      assert.deepEqual(at(schema, "required"), ["total"]);
      assert.equal(at(schema, "additionalProperties"), false);
      assert.equal(at(document, "paths", "/api/fn/stripe", "post", "requestBody", "required"), false);
      const ids = ["place-order", "placeOrder"].map((name) =>
        at(document, "paths", `/api/fn/${name}`, "post", "operationId"),
      );
      assert.deepEqual(ids, ["callPlaceOrder", "callPlaceOrder_2"]);
    }));

  it("take any request when they are actions", () =>
    withDocument((document) => {
      const all = ["delete", "get", "patch", "post", "put"];
      assert.deepEqual(methodsOf(document, "/api/webhooks/github").toSorted(), all);
      assert.ok(at(document, "paths", "/api/webhooks/github", "post", "requestBody"));
      assert.equal(at(document, "paths", "/api/webhooks/github", "get", "requestBody"), undefined);
      assert.deepEqual(methodsOf(document, "/api/webhooks/placeOrder"), []);
    }));

  it("leave the path to the route that is served first", () =>
    withDocument((document) => {
      assert.deepEqual(at(document, "paths", "/api/webhooks/stripe", "post", "tags"), ["stripe"]);
      assert.deepEqual(at(document, "paths", "/api/webhooks/stripe", "put", "tags"), ["functions"]);
    }));

  it("can be called whatever they are named", () => {
    const argsSchema = { type: "object" };
    const names = ["a/b", "a:b", "a*", "größe", "日本", "日光", "{x}"];
    const functions = names.map((name) => ({ name, kind: "query" as const, argsSchema }));
    return withStack({}, (stack) => {
      const document = describeApi({ ...PARTS, routes: stack.routes, functions });
      assert.deepEqual(findProblems(document), []);
      assert.ok(methodsOf(document, "/api/fn/a%2Fb").includes("post"));
      return Promise.resolve();
    });
  });
});

describe("a plugin's routes in the OpenAPI document", () => {
  const document = describeApi(PARTS);

  it("share one template when they share one shape", () => {
    assert.deepEqual(findProblems(document), []);
    assert.deepEqual(methodsOf(document, "/api/things/{thingId}/tree").toSorted(), ["post", "put"]);
    const [parameter] = parametersOf(document, "/api/things/{thingId}/tree", "put");
    assert.deepEqual(at(parameter, "schema"), { type: "string", pattern: "^[0-9]+$" });
  });

  it("have inputs that refer to themselves", () => {
    const put = at(document, "paths", "/api/things/{thingId}/tree", "put");
    const ref = at(put, "requestBody", "content", "application/json", "schema", "$ref");
    const schema = resolveRef(document, ref as string);
    assert.equal(at(schema, "properties", "children", "items", "$ref"), ref);
  });

  it("have inputs that share a part, and parts that JSON Schema cannot say", () => {
    const post = at(document, "paths", "/api/things/{thingId}/tree", "post");
    const schema = at(post, "requestBody", "content", "application/json", "schema");
    const ref = at(schema, "properties", "price", "$ref");
    assert.equal(at(schema, "properties", "tip", "$ref"), ref);
    assert.deepEqual(at(resolveRef(document, ref as string), "required"), ["amount", "currency"]);
    assert.deepEqual(at(schema, "properties", "when"), {});
    const query = parametersOf(document, "/api/things/{thingId}/tree", "post").filter((item) => item["in"] === "query");
    assert.deepEqual(
      query.map(({ name, required }) => [name, required]),
      [
        ["dry", false],
        ["since", true],
      ],
    );
  });

  it("answer other media types, and nothing", () => {
    const post = at(document, "paths", "/api/things/{thingId}/tree", "post", "responses", "200", "content");
    assert.deepEqual(post, { "text/csv": { schema: { type: "string" } } });
    assert.equal(at(document, "paths", "/api/things/{thingId}/tree", "put", "responses", "204", "content"), undefined);
    assert.ok(methodsOf(document, "/assets/{rest}").includes("delete"));
  });
});

describe("the auth routes in the OpenAPI document", () => {
  it("answer what is described", () =>
    withDocument(async (document, stack) => {
      const { token } = await stack.signIn("ada@example.com");
      const asks: [string, string, unknown?][] = [
        ["POST /api/auth/magic/send", "/api/auth/magic/send", { email: "bob@example.com" }],
        ["GET /api/auth/me", "/api/auth/me"],
        ["POST /api/auth/orgs", "/api/auth/orgs", { name: "Acme" }],
        ["GET /api/auth/orgs", "/api/auth/orgs"],
        ["POST /api/auth/api-keys", "/api/auth/api-keys", { name: "ci" }],
        ["GET /api/auth/api-keys", "/api/auth/api-keys"],
        ["POST /api/auth/select-org", "/api/auth/select-org", { orgId: null }],
        ["GET /health", "/health"],
        ["GET /readyz", "/readyz"],
        ["DELETE /api/auth/session", "/api/auth/session"],
      ];
      for (const [target, path, json] of asks) {
        const answer = await stack.ask(target, { token, ...(json === undefined ? {} : { json }) });
        const [method = ""] = target.toLowerCase().split(" ");
        const content = at(document, "paths", path, method, "responses", String(answer.status), "content");
        const schema = at(content, "application/json", "schema");
        assert.ok(isObject(schema), `${target} ${answer.status}`);
        const strict = { ...schema, additionalProperties: false };
        const result = checkerOf(document, strict).safeParse(answer.json);
        assert.ok(result.success, `${target}: ${answer.text}: ${result.error?.message}`);
      }
    }));
});
