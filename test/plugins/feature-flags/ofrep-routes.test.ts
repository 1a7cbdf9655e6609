// The remote evaluation protocol byte by byte: answers and errors in its own form, tags that depend on flags and context,
// whose word counts for who is evaluated, and the stream.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { TOKEN_WINDOW_MS } from "../../../src/plugins/feature-flags/change-streams.ts";
import { isObject } from "../../../src/core/json.ts";
import { type Answer, type Ask, type TestApp, toRequest } from "../app-harness.ts";
import { apiKey, change, SEED_FLAGS, signIn, withFlags } from "./flags-app.ts";

const BULK = "POST /ofrep/v1/evaluate/flags";
/** Of the protocol's OpenAPI document: `evaluationSuccess.reason`. */
const REASONS: readonly unknown[] = ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"];

type Success = Readonly<Record<string, unknown>>;

function single(app: TestApp, key: string, ask: Ask = {}): Promise<Answer> {
  return app.ask(`${BULK}/${encodeURIComponent(key)}`, { json: {}, ...ask });
}

async function bulk(app: TestApp, ask: Ask = {}): Promise<Answer> {
  const answer = await app.ask(BULK, { json: {}, ...ask });
  assert.equal(answer.status, 200, answer.text);
  return answer;
}

function valueIn({ json }: Answer, key: string): unknown {
  return (json["flags"] as readonly Success[]).find((flag) => flag["key"] === key)?.["value"];
}

function streamPath({ json }: Answer): string {
  const streams = json["eventStreams"] as readonly Record<string, unknown>[];
  assert.equal(streams.length, 1);
  const { type, endpoint, inactivityDelaySec } = streams[0] ?? {};
  assert.deepEqual([type, inactivityDelaySec], ["sse", 120]);
  assert.ok(isObject(endpoint));
  return String(endpoint["requestUri"]);
}

describe("one flag", () => {
  it("is answered with value, variant, reason and version", async () => {
    await withFlags({ ...SEED_FLAGS, button: { enabled: true, variants: { blue: 1 } } }, async (app) => {
      const token = await signIn(app, "u_123");
      const { status, json, headers } = await single(app, "ai-suggestions", { token });
      const { metadata, ...rest } = json;
      assert.deepEqual([status, rest], [200, { key: "ai-suggestions", value: true, reason: "SPLIT", variant: "on" }]);
      assert.match(String((metadata as Success)["version"]), /^[0-9a-f]{16}$/);
      assert.equal(headers.get("content-type"), "application/json");
      assert.equal((await single(app, "button", { token })).json["variant"], "blue");
      assert.equal((await single(app, "experimental-graph")).json["reason"], "UNKNOWN");
      assert.equal((await single(app, "experimental-graph", { token })).json["reason"], "TARGETING_MATCH");
    });
  });

  it("knows an API key in the header that the protocol allows beside Authorization, and refuses a wrong one", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const key = await apiKey(app, "org_acme");
      const withBearer = await single(app, "premium-widgets", { token: key });
      const withHeader = await single(app, "premium-widgets", { headers: { "x-api-key": key } });
      assert.equal(withHeader.json["reason"], "TARGETING_MATCH");
      assert.equal(withHeader.text, withBearer.text);
      assert.equal((await single(app, "premium-widgets", { headers: { "x-api-key": `${key}0` } })).status, 401);
    });
  });

  it("evaluates an anonymous caller as anonymous, and says that a key was missing", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const { status, json } = await single(app, "ai-suggestions", { json: { context: { targetingKey: "u_123" } } });
      assert.deepEqual([status, json["value"]], [200, false]);
      assert.equal((json["metadata"] as Success)["targetingKeyMissing"], true);
    });
  });

  it("refuses in the protocol's own words", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const cases: readonly (readonly [Ask, number, string])[] = [
        [{ body: "{" }, 400, "PARSE_ERROR"],
        [{ body: "[]" }, 400, "PARSE_ERROR"],
        [{ body: new Uint8Array([0x22, 0xff, 0x22]) }, 400, "PARSE_ERROR"],
        [{ json: { context: [] } }, 400, "INVALID_CONTEXT"],
        [{ json: { context: { targetingKey: 5 } } }, 400, "INVALID_CONTEXT"],
        [{ json: { context: { targetingKey: "k".repeat(1_025) } } }, 400, "INVALID_CONTEXT"],
      ];
      for (const [ask, status, code] of cases) {
        const answer = await app.ask(`${BULK}/new-onboarding`, ask);
        assert.deepEqual(
          [answer.status, answer.json["errorCode"], answer.json["key"]],
          [status, code, "new-onboarding"],
        );
        assert.equal(typeof answer.json["errorDetails"], "string");
        const all = await app.ask(BULK, ask);
        assert.deepEqual([all.status, all.json["errorCode"]], [status, code]);
      }
      const missing = await single(app, "no/such flag");
      assert.deepEqual(
        [missing.status, missing.json["errorCode"], missing.json["key"]],
        [404, "FLAG_NOT_FOUND", "no/such flag"],
      );
      assert.equal((await single(app, "new-onboarding", { token: "not-a-token" })).status, 401);
    });
  });

  it("takes no body, no context and null for an empty context", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      for (const ask of [
        { body: "" },
        { json: {} },
        { json: { context: {} } },
        { json: { context: { targetingKey: null } } },
      ]) {
        assert.equal((await app.ask(`${BULK}/new-onboarding`, ask)).json["value"], true);
      }
    });
  });
});

describe("who is evaluated", () => {
  const flags = {
    mine: { enabled: true, users: ["u_1"] },
    theirs: { enabled: true, users: ["u_2"] },
    acme: { enabled: true, tenants: ["org_acme"] },
    other: { enabled: true, tenants: ["org_other"] },
    staff: { enabled: true, rules: [{ if: [{ attribute: "roles", op: "contains", value: "staff" }] }] },
    pro: { enabled: true, rules: [{ if: [{ attribute: "plan", op: "eq", value: "pro" }] }] },
  };
  const context = {
    targetingKey: "u_2",
    tenantId: "org_other",
    userId: "u_2",
    roles: ["staff"],
    isAdmin: true,
    plan: "pro",
  };
  const on = async (app: TestApp, ask: Ask): Promise<string> => {
    const answer = await bulk(app, { json: { context }, ...ask });
    return (answer.json["flags"] as readonly Success[])
      .filter((flag) => flag["value"] === true)
      .map((flag) => String(flag["key"]))
      .join();
  };

  it("is the session, whatever a browser says; its attributes still count for the rules", async () => {
    await withFlags(flags, async (app) => {
      assert.equal(await on(app, { token: await signIn(app, "u_1", "org_acme") }), "mine,acme,pro");
      assert.equal(await on(app, {}), "pro");
    });
  });

  it("is the targetingKey of a server that has the admin token or an API key", async () => {
    await withFlags(flags, async (app) => {
      assert.equal(await on(app, { token: "admin" }), "theirs,other,staff,pro");
      assert.equal(await on(app, { token: await apiKey(app) }), "theirs,other,staff,pro");
    });
  });

  it("stays in the tenant of the API key", async () => {
    await withFlags(flags, async (app) => {
      assert.equal(await on(app, { token: await apiKey(app, "org_acme") }), "theirs,acme,staff,pro");
    });
  });
});

describe("all flags", () => {
  it("are answered one by one, with metadata and a stream, in the protocol's reasons", async () => {
    const flags = { ...SEED_FLAGS, off: { enabled: false }, plain: { enabled: true } };
    await withFlags(flags, async (app) => {
      const answer = await bulk(app, { token: await signIn(app, "u_123") });
      const list = answer.json["flags"] as readonly Success[];
      assert.deepEqual(
        list.map((flag) => flag["key"]),
        Object.keys(flags),
      );
      for (const flag of list) {
        assert.ok(REASONS.includes(flag["reason"]), String(flag["reason"]));
        assert.equal(typeof flag["value"], "boolean");
      }
      assert.match(streamPath(answer), /^\/ofrep\/v1\/events\?token=/);
    });
  });

  it("have a tag that depends on flags and context, and 304 with an empty body", async () => {
    const rules = [{ if: [{ attribute: "plan", op: "eq", value: "pro" }] }];
    await withFlags({ pro: { enabled: true, rules } }, async (app) => {
      const free = await bulk(app, { json: { context: { plan: "free" } } });
      const pro = await bulk(app, { json: { context: { plan: "pro" } } });
      const tagOf = (answer: Answer): string => answer.headers.get("etag") ?? "";
      assert.notEqual(tagOf(free), tagOf(pro));
      const ask = (plan: string, tag: string): Promise<Answer> =>
        app.ask(BULK, { json: { context: { plan } }, headers: { "if-none-match": tag } });
      const same = await ask("free", tagOf(free));
      assert.deepEqual([same.status, same.text, tagOf(same)], [304, "", tagOf(free)]);
      for (const { headers } of [free, same])
        assert.deepEqual([headers.get("cache-control"), headers.get("vary")], ["no-store", "Authorization"]);
      assert.equal((await ask("pro", tagOf(free))).status, 200);
      await change(app, "pro", { enabled: false });
      const changed = await ask("pro", tagOf(pro));
      assert.deepEqual([changed.status, valueIn(changed, "pro")], [200, false]);
      const path = `${BULK}?flagConfigEtag=%22v2%22&flagConfigLastModified=1745836320`;
      assert.equal((await app.ask(path, { json: {} })).status, 200);
    });
  });

  it("answer 200 with a new address once the one of an earlier answer would not open", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const first = await bulk(app);
      const tag = first.headers.get("etag") ?? "";
      assert.equal(streamPath(await bulk(app)), streamPath(first));
      app.jump(TOKEN_WINDOW_MS);
      const later = await app.ask(BULK, { json: {}, headers: { "if-none-match": tag } });
      assert.equal(later.status, 200);
      assert.notEqual(streamPath(later), streamPath(first));
    });
  });
});

/** What arrives on a stream, as it arrives. */
async function openStream(app: TestApp, path: string, headers: Record<string, string> = {}) {
  const response = await app.pylon.fetch(toRequest(`GET ${path}`, { headers }));
  const reader = response.body?.getReader();
  let text = "";
  let isEnded = false;
  const pump = async (): Promise<void> => {
    const decoder = new TextDecoder();
    for (let read = await reader?.read(); read && !read.done; read = await reader?.read())
      text += decoder.decode(read.value);
    isEnded = true;
  };
  void pump();
  return {
    response,
    text: () => text,
    isEnded: () => isEnded,
    cancel: () => reader?.cancel(),
  };
}

describe("the stream of changes", () => {
  it("says that there is a new version, and nothing else", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const stream = await openStream(app, streamPath(await bulk(app)));
      assert.equal(stream.response.status, 200);
      assert.match(stream.response.headers.get("content-type") ?? "", /^text\/event-stream/);
      assert.equal(stream.response.headers.get("cache-control"), "no-store");
      await app.rest();
      assert.match(stream.text(), /^retry: \d+\n: connected\n\n$/);
      await change(app, "new-onboarding", { enabled: false });
      await app.rest();
      const [, event = ""] = stream.text().split(": connected\n\n");
      const [, id, data = ""] = /^id: (\S+)\nevent: message\ndata: (.*)\n\n$/.exec(event) ?? [];
      const version = ((await bulk(app)).json["metadata"] as Success)["version"];
      assert.deepEqual(JSON.parse(data), {
        type: "refetchEvaluation",
        etag: version,
        lastModified: Math.floor(app.now() / 1_000),
      });
      assert.equal(id, version);
      await stream.cancel();
    });
  });

  it("tells at once whoever comes back with an older version", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const path = streamPath(await bulk(app));
      await change(app, "new-onboarding", { enabled: false });
      const [missed, seen] = [await openStream(app, path), await openStream(app, streamPath(await bulk(app)))];
      const version = String(((await bulk(app)).json["metadata"] as Success)["version"]);
      const back = await openStream(app, path, { "last-event-id": version });
      await app.rest();
      assert.match(missed.text(), /refetchEvaluation/);
      assert.doesNotMatch(seen.text(), /refetchEvaluation/);
      assert.doesNotMatch(back.text(), /refetchEvaluation/);
    });
  });

  it("opens with a token that is neither made up, nor changed, nor old", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const path = streamPath(await bulk(app));
      const ask = async (target: string): Promise<number> => {
        const { response, cancel } = await openStream(app, target);
        await cancel();
        return response.status;
      };
      assert.equal(await ask("/ofrep/v1/events"), 400);
      assert.equal(await ask("/ofrep/v1/events?token=x"), 401);
      assert.equal(await ask(path.replace(/token=(\d+)/, (_, window: string) => `token=${Number(window) + 1}`)), 401);
      assert.equal(await ask(path.replace(/[0-9a-f](&|$)/, "$1")), 401);
      app.jump(TOKEN_WINDOW_MS);
      assert.equal(await ask(path), 200);
      app.jump(TOKEN_WINDOW_MS);
      assert.equal(await ask(path), 401);
      assert.ok(!JSON.stringify(app.logged).includes("token="));
    });
  });

  it("is kept open by heartbeats, and ended when the instance stops", async () => {
    await withFlags(SEED_FLAGS, async (app) => {
      const stream = await openStream(app, streamPath(await bulk(app)));
      await app.advance(60_000);
      assert.equal(stream.text().split(": still here").length, 3);
      const closing = app.pylon.close({ drainMs: 60_000, closeStore: false });
      for (let turn = 0; turn < 50 && !stream.isEnded(); turn++) await new Promise((resolve) => setTimeout(resolve, 0));
      assert.equal(stream.isEnded(), true);
      await app.advance(1_000);
      await closing;
    });
  });

  it("stands below the folder that a proxy serves the instance in", async () => {
    const env = { PYLON_PUBLIC_URL: "https://example.com/shop/" };
    await withFlags(
      SEED_FLAGS,
      async (app) => assert.match(streamPath(await bulk(app)), /^\/shop\/ofrep\/v1\/events\?/),
      { env },
    );
  });
});
