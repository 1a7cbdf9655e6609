// Entities over HTTP: what the contract says about each route, and what it refuses.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";

import { definePluginType, type Plugin } from "../../src/plugin/plugin.ts";
import { type Answer, type AppOptions, type Ask, type TestApp, withApp } from "../plugins/app-harness.ts";
import { bodyOf, webhooks } from "../plugins/webhooks/deliveries.ts";

const ORDERS = "/api/entities/Order";
const ADMIN = { token: "admin" };

const OWNED: AppOptions = {
  entities: [
    {
      name: "Note",
      fields: [
        { name: "owner", type: "string" },
        { name: "text", type: "string", optional: true },
      ],
    },
  ],
  policies: [
    {
      name: "own",
      entity: "Note",
      allowRead: "auth.userId == data.owner",
      allowWrite: "auth.userId == data.owner",
    },
  ],
};

interface ErrorBody {
  readonly code: string;
  readonly details?: readonly { readonly path: string; readonly message: string }[];
}

/** The paths of an error's details, and its code. */
function problems(answer: Answer): string {
  const { code, details = [] } = answer.json["error"] as ErrorBody;
  return `${answer.status} ${code} ${details.map(({ path }) => path).join()}`;
}

async function session(app: TestApp, userId: string): Promise<Ask> {
  const { json } = await app.ask("POST /api/auth/session", { ...ADMIN, json: { user_id: userId } });
  return { token: String(json["token"]) };
}

function rowsOf(answer: Answer): readonly Readonly<Record<string, unknown>>[] {
  assert.equal(answer.status, 200, answer.text);
  return answer.json["data"] as readonly Readonly<Record<string, unknown>>[];
}

describe("a row", () => {
  it("is created, read, changed and deleted, with every field in each answer", async () => {
    await withApp({}, async (app) => {
      const created = await app.ask(`POST ${ORDERS}`, {
        ...ADMIN,
        json: { total: 1, placedAt: "2026-01-02T03:04:05+02:00", meta: { a: [true, null] } },
      });
      assert.equal(created.status, 201);
      const { id } = created.json;
      const row = { id, total: 1, note: null, meta: { a: [true, null] }, paid: null, ref: null };
      const placed = "2026-01-02T01:04:05.000Z";
      assert.deepEqual(created.json, { ...row, placedAt: placed });
      assert.equal(Object.keys(created.json).join(), "id,total,note,meta,paid,placedAt,ref");
      const target = `${ORDERS}/${String(id)}`;
      assert.deepEqual((await app.ask(`GET ${target}`, ADMIN)).json, created.json);
      const changed = await app.ask(`PATCH ${target}`, { ...ADMIN, json: { note: "x", placedAt: null } });
      assert.equal(changed.status, 200);
      assert.deepEqual(changed.json, { updated: true, ...row, note: "x", placedAt: null });
      const deleted = await app.ask(`DELETE ${target}`, ADMIN);
      assert.deepEqual([deleted.status, deleted.json], [200, { deleted: true }]);
      for (const method of ["GET", "DELETE"]) {
        assert.equal(problems(await app.ask(`${method} ${target}`, ADMIN)), "404 NOT_FOUND ");
      }
      assert.equal(problems(await app.ask(`PATCH ${target}`, { ...ADMIN, json: { total: 2 } })), "404 NOT_FOUND ");
    });
  });

  it("stays as it is when nothing is changed in it", async () => {
    await withApp({}, async (app) => {
      const { id } = await app.insert("Order", { total: 1 });
      const answer = await app.ask(`PATCH ${ORDERS}/${id}`, { ...ADMIN, json: {} });
      assert.deepEqual([answer.status, answer.json["total"]], [200, 1], answer.text);
    });
  });

  it("of an entity that does not exist is 404 whatever is asked", async () => {
    await withApp({}, async (app) => {
      for (const [target, ask] of [
        ["GET /api/entities/Nothing", {}],
        ["POST /api/entities/Nothing", { json: {} }],
        ["GET /api/entities/Nothing/1", {}],
        ["PATCH /api/entities/Nothing/1", { json: {} }],
        ["DELETE /api/entities/Nothing/1", {}],
        ["GET /api/entities/_pylon_sessions", {}],
        ["GET /api/entities/__proto__", {}],
      ] as const) {
        assert.equal(problems(await app.ask(target, { ...ADMIN, ...ask })), "404 ENTITY_NOT_FOUND ", target);
      }
    });
  });
});

describe("an input that does not fit", () => {
  it("has all its problems told at once: types, unknown and missing fields", async () => {
    await withApp({}, async (app) => {
      const json = { total: "1", paid: 1, placedAt: "yesterday", note: 5, colour: "red", id: "mine" };
      const answer = await app.ask(`POST ${ORDERS}`, { ...ADMIN, json });
      assert.equal(problems(answer), "400 VALIDATION_FAILED total,note,paid,placedAt,colour,id");
      assert.equal(problems(await app.ask(`POST ${ORDERS}`, { ...ADMIN, json: {} })), "400 VALIDATION_FAILED total");
      const { id } = await app.insert("Order", { total: 1 });
      const patch = await app.ask(`PATCH ${ORDERS}/${id}`, { ...ADMIN, json: { total: null, size: 1 } });
      assert.equal(problems(patch), "400 VALIDATION_FAILED total,size");
      assert.equal((await app.ask(`GET ${ORDERS}/${id}`, ADMIN)).json["total"], 1);
    });
  });

  it("is no JSON, no object, or a form", async () => {
    await withApp({}, async (app) => {
      const type = (name: string): Ask => ({ ...ADMIN, headers: { "content-type": name } });
      const json = type("application/json");
      assert.equal(problems(await app.ask(`POST ${ORDERS}`, { ...json, body: "{total:1}" })), "400 INVALID_JSON ");
      assert.equal(problems(await app.ask(`POST ${ORDERS}`, { ...json, body: "[1]" })), "400 VALIDATION_FAILED ");
      for (const form of ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]) {
        const answer = await app.ask(`POST ${ORDERS}`, { ...type(form), body: '{"total":1}' });
        assert.equal(problems(answer), "415 UNSUPPORTED_MEDIA_TYPE ", form);
      }
      assert.equal(await app.store.reader.count("Order", []), 0);
    });
  });

  it("repeats a value that has to be unique", async () => {
    await withApp({}, async (app) => {
      await app.insert("Order", { total: 1, ref: "a" });
      const { id } = await app.insert("Order", { total: 2, ref: "b" });
      const conflict = await app.ask(`POST ${ORDERS}`, { ...ADMIN, json: { total: 3, ref: "a" } });
      assert.equal(problems(conflict), "409 CONFLICT ref");
      assert.equal(
        problems(await app.ask(`PATCH ${ORDERS}/${id}`, { ...ADMIN, json: { ref: "a" } })),
        "409 CONFLICT ref",
      );
      await app.insert("Order", { total: 4 });
      await app.insert("Order", { total: 5 });
    });
  });
});

describe("policies", () => {
  it("hide, refuse and ask to sign in", async () => {
    await withApp(OWNED, async (app) => {
      const [mine, other] = [await session(app, "u1"), await session(app, "u2")];
      const created = await app.ask("POST /api/entities/Note", { ...mine, json: { owner: "u1" } });
      assert.equal(created.status, 201);
      const target = `/api/entities/Note/${String(created.json["id"])}`;
      const json = { owner: "u1" };
      assert.equal(problems(await app.ask("POST /api/entities/Note", { ...other, json })), "403 POLICY_DENIED ");
      assert.equal(problems(await app.ask("POST /api/entities/Note", { json })), "401 AUTH_REQUIRED ");
      for (const ask of [other, {}]) {
        assert.equal(problems(await app.ask(`GET ${target}`, ask)), "404 NOT_FOUND ");
        assert.equal(problems(await app.ask(`PATCH ${target}`, { ...ask, json: { text: "x" } })), "404 NOT_FOUND ");
        assert.equal(problems(await app.ask(`DELETE ${target}`, ask)), "404 NOT_FOUND ");
        assert.deepEqual(rowsOf(await app.ask("GET /api/entities/Note", ask)), []);
      }
      const given = await app.ask(`PATCH ${target}`, { ...mine, json: { owner: "u2" } });
      assert.equal(problems(given), "403 POLICY_DENIED ");
      assert.equal(rowsOf(await app.ask("GET /api/entities/Note", mine)).length, 1);
      assert.equal((await app.ask(`DELETE ${target}`, mine)).status, 200);
    });
  });

  it("deny what none of them speaks of, to all but the administrator", async () => {
    await withApp({}, async (app) => {
      const user = await session(app, "u1");
      for (const [target, ask] of [
        [`GET ${ORDERS}`, {}],
        [`GET ${ORDERS}/x`, {}],
        [`POST ${ORDERS}`, { json: { total: 1 } }],
        [`PATCH ${ORDERS}/x`, { json: {} }],
        [`DELETE ${ORDERS}/x`, {}],
      ] as const) {
        assert.equal((await app.ask(target, { ...user, ...ask })).code, "POLICY_DENIED", target);
        assert.equal((await app.ask(target, ask)).code, "AUTH_REQUIRED", target);
      }
    });
  });

  it("do not show a row to somebody who may only change it", async () => {
    const policies = [{ name: "write_only", entity: "Note", allowUpdate: "auth.userId != null" }];
    await withApp({ ...OWNED, policies }, async (app) => {
      const note = await app.ask("POST /api/entities/Note", { ...ADMIN, json: { owner: "ada", text: "secret" } });
      const id = String(note.json["id"]);
      const changed = await app.ask(`PATCH /api/entities/Note/${id}`, { ...(await session(app, "eve")), json: {} });
      assert.deepEqual(changed.json, { updated: true, id });
    });
  });

  it("do not make a page shorter by the rows that they hide", async () => {
    await withApp(OWNED, async (app) => {
      for (let i = 0; i < 12; i++) await app.insert("Note", { owner: i % 2 === 0 ? "u1" : "u2", text: `${i}` });
      const mine = await session(app, "u1");
      const first = await app.ask("GET /api/entities/Note?limit=4", mine);
      assert.equal(
        rowsOf(first)
          .map(({ text }) => text)
          .join(),
        "0,2,4,6",
      );
      assert.equal(first.json["has_more"], true);
      const cursor = String(first.json["next_cursor"]);
      const second = await app.ask(`GET /api/entities/Note?limit=4&cursor=${cursor}`, mine);
      assert.equal(
        rowsOf(second)
          .map(({ text }) => text)
          .join(),
        "8,10",
      );
      assert.deepEqual([second.json["has_more"], second.json["next_cursor"]], [false, null]);
    });
  });
});

describe("a list", () => {
  async function seed(app: TestApp): Promise<void> {
    const notes = ["b", "a", null, "é", "B"];
    for (let i = 0; i < 10; i++) await app.insert("Order", { total: i % 3, note: notes[i % 5], paid: i < 5 });
  }

  /** Every row of a list, page by page. */
  async function all(app: TestApp, query: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const rows: Readonly<Record<string, unknown>>[] = [];
    for (let cursor: unknown = ""; cursor !== null;) {
      const answer = await app.ask(`GET ${ORDERS}?${query}&cursor=${String(cursor)}`, ADMIN);
      rows.push(...rowsOf(answer));
      cursor = answer.json["next_cursor"];
      assert.equal(answer.json["has_more"], cursor !== null);
    }
    return rows;
  }

  it("goes page by page in any order, each row once, by id within equal values", async () => {
    await withApp({}, async (app) => {
      await seed(app);
      const whole = rowsOf(await app.ask(`GET ${ORDERS}`, ADMIN));
      assert.equal(whole.length, 10);
      const byId = whole.map(({ id }) => String(id));
      assert.deepEqual(byId, byId.toSorted());
      for (const order of ["id", "-id", "total", "-total", "note", "-note", "paid", "placedAt"]) {
        const once = rowsOf(await app.ask(`GET ${ORDERS}?order=${order}`, ADMIN));
        for (const limit of [1, 3, 10]) {
          assert.deepEqual(await all(app, `order=${order}&limit=${limit}`), once, `${order} ${limit}`);
        }
      }
      const totals = rowsOf(await app.ask(`GET ${ORDERS}?order=-total`, ADMIN)).map(({ total }) => total);
      assert.equal(totals.join(), "2,2,2,1,1,1,0,0,0,0");
    });
  });

  it("filters by equality, by the field's own type", async () => {
    await withApp({}, async (app) => {
      await seed(app);
      const count = async (query: string): Promise<number> =>
        rowsOf(await app.ask(`GET ${ORDERS}?${query}`, ADMIN)).length;
      assert.equal(await count("paid=true"), 5);
      assert.equal(await count("paid=true&total=1"), 2);
      assert.equal(await count("note=%C3%A9"), 2);
      assert.equal(await count("note=B"), 2);
      assert.equal(await count("note=nothing"), 0);
      assert.equal((await all(app, "total=0&limit=1&order=-note")).length, 4);
    });
  });

  it("refuses every parameter that does not fit, all at once", async () => {
    await withApp({}, async (app) => {
      const query = "limit=0&order=colour&total=x&paid=1&size=5&meta=%7B%7D&placedAt=today";
      const answer = await app.ask(`GET ${ORDERS}?${query}`, ADMIN);
      assert.equal(problems(answer), "400 INVALID_QUERY total,paid,size,meta,placedAt,order,limit");
      for (const bad of [
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=",
        "limit=x",
        "order=",
        "order=--total",
        "order=meta",
      ]) {
        assert.equal((await app.ask(`GET ${ORDERS}?${bad}`, ADMIN)).code, "INVALID_QUERY", bad);
      }
      for (const good of ["limit=1", "limit=200", "order=-id"]) {
        assert.equal((await app.ask(`GET ${ORDERS}?${good}`, ADMIN)).status, 200, good);
      }
      assert.equal((await app.ask(`GET ${ORDERS}?total=1&total=2`, ADMIN)).status, 400);
    });
  });

  it("refuses a cursor that it did not give for this order", async () => {
    await withApp({}, async (app) => {
      await seed(app);
      const { json } = await app.ask(`GET ${ORDERS}?limit=2&order=total`, ADMIN);
      const cursor = String(json["next_cursor"]);
      assert.equal((await app.ask(`GET ${ORDERS}?order=total&cursor=${cursor}`, ADMIN)).status, 200);
      for (const query of [
        `order=note&cursor=${cursor}`,
        `cursor=${cursor}`,
        "cursor=x",
        "cursor=%00",
        "cursor=bnVsbA",
      ]) {
        assert.equal(problems(await app.ask(`GET ${ORDERS}?${query}`, ADMIN)), "400 INVALID_CURSOR ", query);
      }
      const huge = await app.ask(`GET ${ORDERS}?cursor=${"a".repeat(5_000)}`, ADMIN);
      assert.equal(huge.code, "INVALID_CURSOR");
    });
  });
});

describe("several writes in one transaction", () => {
  const insert = (data: unknown): object => ({ op: "insert", entity: "Order", data });

  it("answer what they wrote, and are delivered in order", async () => {
    await withApp({ plugins: [webhooks({ events: ["insert", "update", "delete"] })] }, async (app) => {
      const { id } = await app.insert("Order", { total: 0 });
      const steps = [
        insert({ total: 1 }),
        { op: "update", entity: "Order", id, data: { total: 2 } },
        { op: "delete", entity: "Order", id },
      ];
      const answer = await app.ask("POST /api/transact", { ...ADMIN, json: steps });
      assert.equal(answer.status, 200, answer.text);
      const { committed, results } = answer.json as { committed: boolean; results: { op: string; id: string }[] };
      assert.equal(committed, true);
      assert.deepEqual(
        results.map(({ op }) => op),
        ["insert", "update", "delete"],
      );
      assert.deepEqual([results[1]?.id, results[2]?.id], [id, id]);
      assert.equal((await app.ask(`GET ${ORDERS}/${results[0]?.id}`, ADMIN)).json["total"], 1);
      await app.rest();
      assert.equal(
        app.sent
          .map((sent) => bodyOf(sent).event)
          .toSorted()
          .join(),
        "delete,insert,insert,update",
      );
    });
  });

  const broken: readonly (readonly [name: string, step: unknown, expected: string])[] = [
    ["does not fit", insert({ total: "x", size: 1 }), "400 VALIDATION_FAILED 1.data.total,1.data.size"],
    ["is no object", insert(5), "400 VALIDATION_FAILED 1"],
    ["repeats a unique value", insert({ total: 1, ref: "first" }), "409 CONFLICT 1.data.ref"],
    ["has no row", { op: "delete", entity: "Order", id: "none" }, "404 NOT_FOUND 1"],
    ["has no entity", { op: "insert", entity: "Nothing", data: {} }, "404 ENTITY_NOT_FOUND 1"],
    ["is to what Pylon writes itself", { op: "insert", entity: "WebhookDelivery", data: {} }, "403 READ_ONLY 1"],
  ];
  for (const [name, step, expected] of broken) {
    it(`are all undone when one ${name}, which is named`, async () => {
      await withApp({ plugins: [webhooks({})] }, async (app) => {
        const steps = [insert({ total: 1, ref: "first" }), step, insert({ total: 3 })];
        assert.equal(problems(await app.ask("POST /api/transact", { ...ADMIN, json: steps })), expected);
        assert.equal(await app.store.reader.count("Order", []), 0);
        await app.rest();
        assert.deepEqual(app.sent, []);
      });
    });
  }

  it("are all undone when a hook fails", async () => {
    const failing: Plugin = definePluginType({
      name: "failing",
      config: z.unknown(),
      setup: () => ({
        hooks: {
          within: (change) => {
            if (change.after?.["total"] === 13) throw new Error("no thirteen");
          },
        },
      }),
    });
    await withApp({ extra: [failing], plugins: [webhooks({}), { name: "failing" }] }, async (app) => {
      const steps = [insert({ total: 1 }), insert({ total: 13 })];
      const answer = await app.ask("POST /api/transact", { ...ADMIN, json: steps });
      assert.deepEqual([answer.status, answer.code], [500, "INTERNAL"]);
      assert.ok(!answer.text.includes("thirteen"));
      assert.equal(await app.store.reader.count("Order", []), 0);
      await app.rest();
      assert.deepEqual(app.sent, []);
    });
  });

  it("are the administrator's alone, and have a form", async () => {
    await withApp({}, async (app) => {
      const json = [insert({ total: 1 })];
      assert.equal((await app.ask("POST /api/transact", { json })).code, "AUTH_REQUIRED");
      const user = await session(app, "u1");
      assert.equal((await app.ask("POST /api/transact", { ...user, json })).code, "ADMIN_ONLY");
      for (const bad of [
        [],
        {},
        [{ op: "upsert", entity: "Order", data: {} }],
        [{ op: "update", entity: "Order", data: {} }],
        [{ op: "insert", entity: "Order", data: { total: 1 }, more: 1 }],
        Array.from({ length: 1_001 }, () => insert({ total: 1 })),
      ]) {
        assert.equal((await app.ask("POST /api/transact", { ...ADMIN, json: bad })).code, "VALIDATION_FAILED");
      }
      assert.equal(await app.store.reader.count("Order", []), 0);
    });
  });
});
