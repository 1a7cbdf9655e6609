// Functions over HTTP: arguments and results, what a failure tells, and that a signed request arrives byte for byte.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { action, mutation, query, type FunctionDefinition } from "../../src/functions/define.ts";
import { v } from "../../src/functions/validators.ts";
import { ADMIN_TOKEN } from "../auth/auth-harness.ts";
import { codeOf, fieldsOf, type Stack, textOf, withStack } from "./assembled-stack.ts";

/** Said out loud: some runtimes call a text body text/plain. */
const JSON_TYPE = { "content-type": "application/json" };
const MANIFEST = {
  manifest_version: 1,
  name: "shop",
  version: "1.0.0",
  entities: [{ name: "Note", fields: [{ name: "text", type: "string" }] }],
};

const DEFINITIONS: Readonly<Record<string, FunctionDefinition>> = {
  greet: query({ args: { name: v.string() }, handler: (_ctx, { name }) => `Hello ${name}` }),
  echo: query({ handler: (_ctx, args) => args }),
  nothing: query({ handler: () => undefined }),
  whoami: query({ handler: (ctx) => ({ userId: ctx.auth.userId, isAdmin: ctx.auth.isAdmin }) }),
  addNote: mutation({ args: { text: v.string() }, handler: (ctx, { text }) => ctx.db.insert("Note", { text }) }),
  sellOut: mutation({
    async handler(ctx) {
      await ctx.db.insert("Note", { text: "rolled back" });
      throw ctx.error("SOLD_OUT", "Nothing is left");
    },
  }),
  crash: mutation({
    handler() {
      throw new Error("password=hunter2");
    },
  }),
  hook: action({ handler: (ctx) => ctx.request ?? null }),
};

function withFunctions(run: (stack: Stack) => Promise<void>): Promise<void> {
  return withStack({ definitions: DEFINITIONS, manifest: MANIFEST }, run);
}

async function countNotes(stack: Stack): Promise<number> {
  const page = await stack.ask("GET /api/entities/Note", { token: ADMIN_TOKEN });
  return (fieldsOf(page)["data"] as unknown[]).length;
}

describe("POST /api/fn/:name", () => {
  it("answers what the function returned", () =>
    withFunctions(async (stack) => {
      const greeted = await stack.ask("POST /api/fn/greet", { json: { name: "Ada" } });
      assert.equal(greeted.status, 200);
      assert.equal(greeted.headers.get("content-type"), "application/json");
      assert.equal(greeted.json, "Hello Ada");
      const nothing = await stack.ask("POST /api/fn/nothing");
      assert.equal(nothing.text, "null");
    }));

  it("takes an empty body for no arguments", () =>
    withFunctions(async (stack) => {
      assert.deepEqual((await stack.ask("POST /api/fn/echo")).json, {});
      assert.deepEqual((await stack.ask("POST /api/fn/echo", { json: { deep: [1, { a: null }] } })).json, {
        deep: [1, { a: null }],
      });
    }));

  it("runs as whoever asks", () =>
    withFunctions(async (stack) => {
      const { token, userId } = await stack.signIn("ada@example.com");
      assert.deepEqual((await stack.ask("POST /api/fn/whoami", { token })).json, { userId, isAdmin: false });
      assert.deepEqual((await stack.ask("POST /api/fn/whoami")).json, { userId: null, isAdmin: false });
    }));

  it("refuses arguments that do not fit, and functions that do not exist", () =>
    withFunctions(async (stack) => {
      const misfit = await stack.ask("POST /api/fn/greet", { json: { name: 7, more: 1 } });
      assert.equal(misfit.status, 400);
      assert.equal(codeOf(misfit), "VALIDATION_FAILED");
      assert.equal(codeOf(await stack.ask("POST /api/fn/greet", { json: [] })), "VALIDATION_FAILED");
      assert.equal(codeOf(await stack.ask("POST /api/fn/greet", { body: "{", headers: JSON_TYPE })), "INVALID_JSON");
      for (const name of ["missing", "constructor", "__proto__"]) {
        const unknown = await stack.ask(`POST /api/fn/${name}`);
        assert.equal(unknown.status, 404);
        assert.equal(codeOf(unknown), "FN_NOT_FOUND");
      }
      assert.equal((await stack.ask("GET /api/fn/greet")).status, 404);
    }));

  it("tells the codes of ctx.error and hides everything else", () =>
    withFunctions(async (stack) => {
      const soldOut = await stack.ask("POST /api/fn/sellOut");
      assert.equal(soldOut.status, 400);
      assert.equal(codeOf(soldOut), "SOLD_OUT");
      assert.equal(await countNotes(stack), 0);
      const crashed = await stack.ask("POST /api/fn/crash");
      assert.equal(crashed.status, 500);
      assert.equal(codeOf(crashed), "HANDLER_ERROR");
      assert.equal(crashed.text.includes("hunter2"), false);
    }));

  it("does once what is asked twice with one Idempotency-Key", () =>
    withFunctions(async (stack) => {
      const add = (text: string) =>
        stack.ask("POST /api/fn/addNote", { json: { text }, headers: { "idempotency-key": "k1" } });
      const first = await add("one");
      const second = await add("one");
      assert.equal(second.text, first.text);
      assert.equal(second.headers.get("idempotency-replayed"), "true");
      assert.equal(await countNotes(stack), 1);
      assert.equal(codeOf(await add("two")), "IDEMPOTENCY_MISMATCH");
    }));
});

describe("ANY /api/webhooks/:name", () => {
  it("hands over method, path, headers and body, and answers what the action returned", () =>
    withFunctions(async (stack) => {
      const answer = await stack.ask("PUT /api/webhooks/hook?challenge=a%20b", {
        body: '{"a": 1}\n',
        headers: { "X-Signature": "sig", "content-type": "application/vnd.custom" },
      });
      assert.equal(answer.status, 200);
      const { method, path, headers, rawBody } = fieldsOf(answer) as Record<string, unknown>;
      assert.equal(method, "PUT");
      assert.equal(path, "/api/webhooks/hook?challenge=a%20b");
      assert.equal(rawBody, '{"a": 1}\n');
      assert.equal((headers as Record<string, string>)["x-signature"], "sig");
      assert.equal((headers as Record<string, string>)["content-type"], "application/vnd.custom");
    }));

  it("takes every method", () =>
    withFunctions(async (stack) => {
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE"]) {
        assert.equal(textOf(await stack.ask(`${method} /api/webhooks/hook`), "method"), method);
      }
    }));

  it("keeps the text that was signed, byte order mark included", () =>
    withFunctions(async (stack) => {
      const body = new TextEncoder().encode('\uFEFF{"grüße": "\\u00fc"}\r\n');
      const rawBody = textOf(await stack.ask("POST /api/webhooks/hook", { body }), "rawBody");
      assert.deepEqual(new TextEncoder().encode(rawBody), body);
    }));

  it("runs actions alone", () =>
    withFunctions(async (stack) => {
      const notAnAction = await stack.ask("POST /api/webhooks/greet");
      assert.equal(notAnAction.status, 400);
      assert.equal(codeOf(notAnAction), "NOT_AN_ACTION");
      const unknown = await stack.ask("POST /api/webhooks/missing");
      assert.equal(unknown.status, 404);
      assert.equal(codeOf(unknown), "FN_NOT_FOUND");
    }));

  it("refuses a body above the limit before the action sees it", () =>
    withFunctions(async (stack) => {
      const tooLarge = await stack.ask("POST /api/webhooks/hook", { body: "x".repeat(70_000) });
      assert.equal(tooLarge.status, 413);
      assert.equal(codeOf(tooLarge), "PAYLOAD_TOO_LARGE");
    }));

  it("gives no request to an action that is called by name", () =>
    withFunctions(async (stack) => {
      assert.equal((await stack.ask("POST /api/fn/hook")).json, null);
    }));
});
