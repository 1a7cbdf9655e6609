// What every request gets, whatever route answers it: an id, an answer in the one shape, a line in the log, and no more
// than its caller may know.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";

import { createVirtualClock } from "../../src/core/clock.ts";
import { ADMIN, ANONYMOUS, type Identity } from "../../src/core/identity.ts";
import { createCors } from "../../src/http/cors.ts";
import { createMetrics } from "../../src/http/metrics.ts";
import { createRouteRunner } from "../../src/http/route-runner.ts";
import { createHttpServer, type HttpServer } from "../../src/http/server.ts";
import { defineRoute, type Route, type RouteAnswer, type RouteRequest } from "../../src/plugin/route.ts";
import { storeError } from "../../src/store/store-errors.ts";
import {
  ADMIN_TOKEN,
  type Answer,
  type Ask,
  type LogLine,
  readAnswer,
  toRequest,
  withApp,
} from "../plugins/app-harness.ts";

type Handle = (request: RouteRequest) => Promise<RouteAnswer | Response>;

function route(target: string, handle: Handle, more: Partial<Route> = {}): Route {
  const [method = "GET", path = "/"] = target.split(" ");
  return defineRoute({
    method: method as Route["method"],
    path,
    access: "anyone",
    tag: "t",
    summary: "s",
    answers: {},
    handle,
    ...more,
  });
}

interface Served {
  readonly server: HttpServer;
  readonly logged: LogLine[];
  readonly metrics: () => Promise<string>;
  ask(target: string, ask?: Ask): Promise<Answer>;
}

interface ServeOptions {
  readonly origins?: readonly string[];
  readonly identity?: Identity;
  readonly logRequests?: boolean;
}

/** The HTTP layer with the given routes and nothing behind it. */
function serve(routes: readonly Route[], options: ServeOptions = {}): Served {
  const logged: LogLine[] = [];
  const add =
    (level: string) =>
    (event: string, fields = {}): void => {
      logged.push({ level, event, fields });
    };
  const metrics = createMetrics([]);
  const server = createHttpServer({
    routes,
    run: createRouteRunner({
      identify: () => Promise.resolve(options.identity ?? ANONYMOUS),
      maxBodyBytes: 1_000,
      idempotency: { run: () => Promise.reject(new Error("Nothing is remembered here")), sweep: async () => 0 },
    }),
    cors: createCors({ origins: options.origins ?? [] }),
    metrics,
    clock: createVirtualClock(),
    log: { info: add("info"), warn: add("warn"), error: add("error") },
    logRequests: options.logRequests ?? true,
  });
  const ask: Served["ask"] = async (target, ask = {}) => readAnswer(await server.fetch(toRequest(target, ask)));
  return { server, logged, metrics: () => metrics.render(), ask };
}

const ok: Handle = () => Promise.resolve({ status: 200, json: { ok: true } });
const NEW_ID = /^req_[0-9a-f]{8}[0-9a-z]{6,}$/;

function idOf(answer: Answer): string {
  return answer.headers.get("x-request-id") ?? "";
}

describe("the id of a request", () => {
  it("is the caller's when it has the form of one", async () => {
    const { ask } = serve([route("GET /x", ok)]);
    for (const id of ["a", "018f-abc.DEF:7_x", "r".repeat(128)]) {
      assert.equal(idOf(await ask("GET /x", { headers: { "x-request-id": id } })), id);
    }
  });

  it("is a new one otherwise, each time another", async () => {
    const { ask } = serve([route("GET /x", ok)]);
    const given = ["", "a b", "r".repeat(129), "<script>", "é", 'a"b', "a,b"];
    const ids = new Set<string>();
    for (const id of given) {
      const answered = idOf(await ask("GET /x", { headers: { "x-request-id": id } }));
      assert.match(answered, NEW_ID);
      ids.add(answered);
    }
    assert.equal(ids.size, given.length);
    assert.match(idOf(await ask("GET /x")), NEW_ID);
  });

  it("is on every answer: errors, unknown paths, preflights, streams", async () => {
    const { ask } = serve([
      route("GET /fails", () => Promise.reject(new Error("x"))),
      route("GET /stream", () => Promise.resolve(new Response("text"))),
      route("GET /empty", () => Promise.resolve({ status: 204 })),
      route("GET /admin", ok, { access: "admin" }),
    ]);
    const preflight = { origin: "https://a.example", "access-control-request-method": "POST" };
    for (const target of ["GET /fails", "GET /stream", "GET /empty", "GET /admin", "GET /none", "OPTIONS /fails"]) {
      const answer = await ask(target, { headers: { "x-request-id": "mine", ...preflight } });
      assert.equal(idOf(answer), "mine", target);
    }
  });

  it("reaches the route and the log", async () => {
    let seen = "";
    const { ask, logged } = serve([
      route("GET /x", (request) => {
        seen = request.requestId;
        return ok(request);
      }),
    ]);
    await ask("GET /x", { headers: { "x-request-id": "mine" } });
    assert.equal(seen, "mine");
    assert.equal(logged[0]?.fields["requestId"], "mine");
  });
});

describe("an answer", () => {
  it("is JSON, text, nothing or what the route made itself", async () => {
    const own = new Response("bytes", { status: 206, headers: { "content-type": "image/png", etag: '"1"' } });
    const { ask } = serve([
      route("GET /json", () => Promise.resolve({ status: 201, json: { a: [1] }, headers: { etag: '"2"' } })),
      route("GET /null", () => Promise.resolve({ status: 200, json: null })),
      route("GET /text", () => Promise.resolve({ status: 200, text: "hello" })),
      route("GET /empty", () => Promise.resolve({ status: 204 })),
      route("GET /own", () => Promise.resolve(own)),
    ]);
    const json = await ask("GET /json");
    assert.deepEqual(
      [json.status, json.text, json.headers.get("content-type"), json.headers.get("etag")],
      [201, '{"a":[1]}', "application/json", '"2"'],
    );
    assert.equal((await ask("GET /null")).text, "null");
    assert.equal((await ask("GET /text")).headers.get("content-type"), "text/plain; charset=utf-8");
    const empty = await ask("GET /empty");
    assert.deepEqual([empty.status, empty.text, empty.headers.has("content-type")], [204, "", false]);
    const answer = await ask("GET /own");
    assert.deepEqual([answer.status, answer.text, answer.headers.get("etag")], [206, "bytes", '"1"']);
    assert.equal(answer.headers.get("content-type"), "image/png");
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  });

  it("is found with a slash at the end and for HEAD as well, without a body", async () => {
    const { ask } = serve([route("GET /x/:id", ({ params }) => Promise.resolve({ status: 200, json: params }))]);
    assert.deepEqual((await ask("GET /x/a%2Fb%20%C3%A9/")).json, { id: "a/b é" });
    const head = await ask("HEAD /x/1");
    assert.deepEqual([head.status, head.text], [200, ""]);
  });

  it("to a broken escape in the path is not a crash", async () => {
    const { ask, logged } = serve([route("GET /x/:id", ok)]);
    assert.equal((await ask("GET /x/%E0%A4%A")).status, 200);
    assert.equal((await ask("GET /%ZZ")).code, "NOT_FOUND");
    assert.ok(logged.every(({ level }) => level === "info"));
  });
});

describe("a path that nobody serves", () => {
  it("answers 404 in the shape of errors, with a hint", async () => {
    const { ask } = serve([route("POST /x", ok)]);
    for (const target of ["GET /nothing", "GET /x", "DELETE /x", "GET /", "POST /x/y"]) {
      const answer = await ask(target);
      assert.equal(answer.status, 404, target);
      const { code, message, hint, ...rest } = answer.json["error"] as Record<string, unknown>;
      assert.equal(code, "NOT_FOUND");
      assert.equal(typeof message, "string");
      assert.match(String(hint), /\/api\/openapi\.json/);
      assert.deepEqual(rest, {});
      assert.deepEqual(Object.keys(answer.json), ["error"]);
    }
  });
});

describe("an error that nobody expected", () => {
  const SECRET = "postgres://admin:hunter2@db.internal/shop";

  it("answers INTERNAL and the request id, and its text goes to the log alone", async () => {
    const thrown: readonly unknown[] = [new Error(SECRET), SECRET, { code: SECRET }, null, undefined];
    for (const value of thrown) {
      const { ask, logged } = serve([
        route("GET /x", () => {
          throw value;
        }),
      ]);
      const answer = await ask("GET /x");
      assert.deepEqual([answer.status, answer.code], [500, "INTERNAL"]);
      assert.ok(!answer.text.includes("hunter2"), answer.text);
      assert.ok(answer.text.includes(idOf(answer)));
      const crash = logged.find(({ event }) => event === "request.crashed");
      assert.equal(crash?.level, "error");
      assert.equal(crash.fields["requestId"], idOf(answer));
    }
  });

  it("is not an answer that cannot be written down as JSON", async () => {
    const { ask } = serve([route("GET /x", () => Promise.resolve({ status: 200, json: { big: 1n } }))]);
    assert.deepEqual([(await ask("GET /x")).status, (await ask("GET /x")).code], [500, "INTERNAL"]);
  });

  it("of the database keeps its code and not its text", async () => {
    const error = storeError("STORE_FAILED", { message: 'no such column: "passwordHash"' });
    const { ask, logged } = serve([route("GET /x", () => Promise.reject(error))]);
    const answer = await ask("GET /x");
    assert.deepEqual([answer.status, answer.code], [500, "STORE_FAILED"]);
    assert.ok(!answer.text.includes("passwordHash"));
    assert.ok(JSON.stringify(logged).includes("passwordHash"));
  });

  it("does not stop the next request", async () => {
    let count = 0;
    const { ask, server } = serve([
      route("GET /x", (request) => (count++ === 0 ? Promise.reject(new Error("x")) : ok(request))),
    ]);
    assert.equal((await ask("GET /x")).status, 500);
    assert.equal((await ask("GET /x")).status, 200);
    assert.equal(server.inFlight, 0);
  });
});

describe("an input that does not fit", () => {
  const body = z.strictObject({ name: z.string(), tags: z.array(z.string()) });

  it("has every problem listed with its path", async () => {
    const { ask } = serve([route("POST /x", ok, { body })]);
    const answer = await ask("POST /x", { json: { name: 1, tags: ["a", 2, null], more: true } });
    assert.deepEqual([answer.status, answer.code], [400, "VALIDATION_FAILED"]);
    const { details } = answer.json["error"] as { details: { path: string }[] };
    assert.equal(details.map(({ path }) => path).join("|"), "name|tags.1|tags.2|more");
  });

  it("has at most a hundred problems listed", async () => {
    const { ask } = serve([route("POST /x", ok, { body })]);
    const answer = await ask("POST /x", { json: { name: "", tags: Array.from({ length: 300 }, () => 1) } });
    const { details } = answer.json["error"] as { details: unknown[] };
    assert.equal(details.length, 100);
  });

  it("is refused when a query parameter is unknown, repeated, or hostile", async () => {
    const query = z.strictObject({ limit: z.string().optional() });
    const { ask } = serve([
      route("GET /x", ({ query: read }) => Promise.resolve({ status: 200, json: read }), { query }),
    ]);
    assert.deepEqual((await ask("GET /x?limit=a%20b+c")).json, { limit: "a b c" });
    for (const bad of [
      "other=1",
      "limit=1&limit=2",
      "limit=1&limit=2&limit=3",
      "__proto__=1",
      "__proto__=1&__proto__=2",
    ]) {
      assert.equal((await ask(`GET /x?${bad}`)).code, "VALIDATION_FAILED", bad);
    }
  });

  it("is not looked at before it is known that the caller may ask at all", async () => {
    const { ask } = serve([route("POST /x", ok, { body, access: "user" })]);
    assert.equal((await ask("POST /x", { body: "{" })).code, "AUTH_REQUIRED");
  });
});

describe("a process that shuts down", () => {
  it("answers 503 with Retry-After, and still says that it is alive", async () => {
    const { ask, server, logged } = serve([route("GET /x", ok), route("GET /health", ok), route("GET /metrics", ok)]);
    assert.equal((await ask("GET /x")).status, 200);
    assert.equal(server.isDraining, false);
    server.drain();
    assert.equal(server.isDraining, true);
    const answer = await ask("GET /x");
    assert.deepEqual([answer.status, answer.code], [503, "DRAINING"]);
    assert.equal(answer.headers.get("retry-after"), "1");
    assert.equal(answer.headers.get("connection"), "close");
    assert.match(idOf(answer), NEW_ID);
    assert.equal((await ask("GET /nothing")).status, 503);
    assert.equal((await ask("GET /health")).status, 200);
    assert.equal((await ask("GET /metrics")).status, 200);
    assert.ok(logged.every(({ level }) => level !== "error"));
    assert.ok(logged.some(({ event, fields }) => event === "request.failed" && fields["code"] === "DRAINING"));
  });

  it("finishes what it has begun", async () => {
    const { promise, resolve } = Promise.withResolvers<RouteAnswer>();
    const { ask, server } = serve([route("GET /slow", () => promise)]);
    const slow = ask("GET /slow");
    while (server.inFlight === 0) await Promise.resolve();
    server.drain();
    assert.equal((await ask("GET /slow")).status, 503);
    assert.equal(server.inFlight, 1);
    resolve({ status: 200, json: {} });
    assert.equal((await slow).status, 200);
    assert.equal(server.inFlight, 0);
  });
});

describe("the log of requests", () => {
  it("has a line per request, with the path and without the query", async () => {
    const { ask, logged } = serve([route("GET /api/x/:id", ok)]);
    await ask("GET /api/x/7?token=hidden", { headers: { authorization: "Bearer hidden" } });
    await ask("POST /nothing/here?secret=hidden", { body: "hidden" });
    assert.deepEqual(
      logged.map(({ event, fields: { method, path, status } }) => [event, method, path, status]),
      [
        ["request", "GET", "/api/x/7", 200],
        ["request", "POST", "/nothing/here", 404],
      ],
    );
    assert.ok(!JSON.stringify(logged).includes("hidden"));
  });

  it("has no token that stands in a path, nor one in a path that is nearly right", async () => {
    const token = `inv_${"0123456789abcdef".repeat(4)}`;
    const { ask, logged } = serve([route("POST /api/auth/invites/:token/accept", ok)]);
    await ask(`POST /api/auth/invites/${token}/accept`);
    await ask(`GET /api/auth/invites/${token}/accept`);
    await ask(`POST /api/auth/invites/${token}`);
    assert.deepEqual(
      logged.map(({ fields: { path } }) => path),
      ["/api/auth/invites/:token/accept", "/api/auth/invites/…/accept", "/api/auth/invites/…"],
    );
  });

  it("bounds what a stranger can write into it", async () => {
    const { ask, logged } = serve([route("GET /x/:id", ok)]);
    await ask(`GET /x/${"a".repeat(5_000)}`);
    assert.ok(String(logged[0]?.fields["path"]).length <= 256);
  });

  it("can be switched off, and then errors are still there", async () => {
    const { ask, logged } = serve([route("GET /x", () => Promise.reject(new Error("x"))), route("GET /y", ok)], {
      logRequests: false,
    });
    await ask("GET /x");
    await ask("GET /y");
    assert.deepEqual(
      logged.map(({ event }) => event),
      ["request.crashed"],
    );
  });

  it("shows no secret of a whole instance", async () => {
    await withApp({ mode: "dev" }, async (app) => {
      const session = await app.ask("POST /api/auth/session", { token: "admin", json: { user_id: "u1" } });
      const token = String(session.json["token"]);
      await app.ask("GET /api/auth/me", { token });
      const { json: org } = await app.ask("POST /api/auth/orgs", { token, json: { name: "Acme" } });
      const invites = `/api/auth/orgs/${String(org["id"])}/invites`;
      const { json: invite } = await app.ask(`POST ${invites}`, {
        token,
        json: { email: "a@b.example", role: "member" },
      });
      const inviteToken = String(invite["token"]);
      assert.match(inviteToken, /^inv_/);
      await app.ask(`POST /api/auth/invites/${inviteToken}/accept`, { token });
      await app.ask(`POST /api/auth/invites/${inviteToken}/acccept`, { token });
      const sent = await app.ask("POST /api/auth/magic/send", { json: { email: "c@d.example" } });
      await app.ask("GET /api/auth/me", { token: "wrong-but-secret-token" });
      const text = JSON.stringify(app.logged);
      assert.ok(app.logged.filter(({ event }) => event === "request").length >= 7);
      for (const secret of [ADMIN_TOKEN, token, inviteToken, String(sent.json["dev_code"]), "wrong-but-secret-token"]) {
        assert.ok(secret !== "undefined" && !text.includes(secret), secret);
      }
    });
  });
});

describe("requests in the metrics", () => {
  it("are counted under their route's pattern", async () => {
    const { ask, metrics } = serve([route("GET /x/:id", ok)]);
    await ask("GET /x/1");
    await ask("GET /x/2");
    await ask("GET /nothing/1");
    const text = await metrics();
    assert.ok(text.includes('pylon_http_requests_total{method="GET",route="/x/:id",status="200"} 2\n'));
    assert.ok(text.includes('pylon_http_requests_total{method="GET",route="*",status="404"} 1\n'));
  });
});

describe("who may ask", () => {
  const routes = [
    route("GET /anyone", ok),
    route("GET /user", ok, { access: "user" }),
    route("GET /admin", ok, { access: "admin" }),
  ];
  const user: Identity = { ...ANONYMOUS, kind: "user", userId: "u1" };

  for (const [name, identity, expected] of [
    ["anonymous", ANONYMOUS, "200 401 401"],
    ["user", user, "200 200 403"],
    ["admin", ADMIN, "200 200 200"],
  ] as const) {
    it(name, async () => {
      const { ask } = serve(routes, { identity });
      const answers = [await ask("GET /anyone"), await ask("GET /user"), await ask("GET /admin")];
      assert.equal(answers.map(({ status }) => status).join(" "), expected);
    });
  }
});
