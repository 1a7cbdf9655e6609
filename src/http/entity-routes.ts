// Entities over HTTP: create, list, read, change, delete, and several of these in one transaction.

import { z } from "zod";
import { coreError, type Problem, PylonError } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import type { Data, DataWriter } from "../data/data.ts";
import { dataError } from "../data/data-errors.ts";
import type { PageQuery } from "../data/data-reader.ts";
import type { EntityModel } from "../data/model.ts";
import type { Scope } from "../data/scope.ts";
import { defineRoute, type Route, type RouteAnswer, type RouteRequest } from "../plugin/route.ts";
import type { Condition, Order, Row } from "../store/store.ts";

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 200;
const MAX_OPERATIONS = 1_000;
const MAX_PROBLEMS = 100;

const anyObject = z.unknown();

function scopeOf(request: RouteRequest): Scope {
  return { actor: request.identity, policies: true, requestId: request.requestId };
}

function missing(entity: string): Error {
  return coreError("NOT_FOUND", { message: `There is no such ${entity}` });
}

/** A write of one row, and what it answers. */
interface RowWrite {
  /** In a transaction of its own. */
  alone(): Promise<Row | null>;
  /** In one that is open. */
  within(writer: DataWriter): Promise<Row | null>;
  toAnswer(row: Row): RouteAnswer;
}

/** Runs one write; with an Idempotency-Key its answer commits with it. */
async function writeOne(data: Data, request: RouteRequest, write: RowWrite): Promise<RouteAnswer> {
  const entity = request.params.entity ?? "";
  const { receipt } = request;
  if (!receipt) {
    const row = await write.alone();
    if (!row) throw missing(entity);
    return write.toAnswer(row);
  }
  const inTransaction = async (writer: DataWriter): Promise<RouteAnswer> => {
    const row = await write.within(writer);
    if (!row) throw missing(entity);
    const answer = write.toAnswer(row);
    await receipt.commit(writer.tx, answer);
    return answer;
  };
  return data.write(scopeOf(request), inTransaction, { exclusive: true });
}

function parseOrder(model: EntityModel, text: string | undefined, problems: Problem[]): Order | undefined {
  if (text === undefined || text === "id") return undefined;
  const descending = text.startsWith("-");
  const column = descending ? text.slice(1) : text;
  const known = column === "id" || model.table.columns.some(({ name, type }) => name === column && type !== "json");
  if (known) return { column, descending };
  problems.push({ path: "order", message: "Expected a field that can be ordered, or - and a field" });
  return undefined;
}

function parseLimit(text: string | undefined, problems: Problem[]): number {
  if (text === undefined) return DEFAULT_LIMIT;
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= MAX_LIMIT) return limit;
  problems.push({ path: "limit", message: `Expected 1 to ${MAX_LIMIT}` });
  return DEFAULT_LIMIT;
}

function parseConditions(
  model: EntityModel,
  fields: Readonly<Record<string, string>>,
  problems: Problem[],
): Condition[] {
  return Object.entries(fields).flatMap(([column, text]): Condition[] => {
    const result = model.codec.parseFilterText(column, text);
    if (result.ok) return [{ column, op: "eq", value: result.value }];
    if (problems.length < MAX_PROBLEMS) problems.push(result.problem);
    return [];
  });
}

const listQuery = z.record(z.string(), z.string("Give each parameter once"));

async function listEntity(data: Data, request: RouteRequest<Record<string, string>>): Promise<RouteAnswer> {
  const name = request.params.entity ?? "";
  const model = data.model.entity(name);
  const { limit, cursor, order, ...fields } = request.query;
  const problems: Problem[] = [];
  const query: PageQuery = {
    where: parseConditions(model, fields, problems),
    order: parseOrder(model, order, problems),
    cursor: cursor === undefined || cursor === "" ? null : cursor,
    limit: parseLimit(limit, problems),
  };
  if (problems.length > 0) throw dataError("INVALID_QUERY", { details: problems });
  const page = await data.read(scopeOf(request)).page(name, query);
  const rows = page.rows.map((row) => model.codec.toJson(row));
  return { status: 200, json: { data: rows, next_cursor: page.nextCursor, has_more: page.nextCursor !== null } };
}

const operation = z.discriminatedUnion("op", [
  z.strictObject({ op: z.literal("insert"), entity: z.string(), data: z.unknown() }),
  z.strictObject({ op: z.literal("update"), entity: z.string(), id: z.string(), data: z.unknown() }),
  z.strictObject({ op: z.literal("delete"), entity: z.string(), id: z.string() }),
]);
const transaction = z.array(operation).min(1).max(MAX_OPERATIONS);

type Operation = z.infer<typeof operation>;

async function runOperation(writer: DataWriter, step: Operation): Promise<{ op: string; id: string }> {
  if (step.op === "insert") return { op: step.op, id: (await writer.insert(step.entity, step.data)).id };
  const row =
    step.op === "update"
      ? await writer.update(step.entity, step.id, step.data)
      : await writer.delete(step.entity, step.id);
  if (!row) throw missing(step.entity);
  return { op: step.op, id: step.id };
}

/** An error says which operation it comes from: `3`, `3.data.total`. */
async function namingStep<T>(index: number, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    // What the store says about itself passes as it is: it may mean that the transaction is run again.
    if (!(error instanceof PylonError) || error.status >= 500) throw error;
    const { code, status, message, hint, details = [] } = error;
    const at = (path: string): string => (path === "" ? `${index}` : `${index}.data.${path}`);
    const problems = details.map((problem) => ({ ...problem, path: at(problem.path) }));
    throw new PylonError(code, status, {
      message,
      ...(hint === undefined ? {} : { hint }),
      details: problems.length > 0 ? problems : [{ path: `${index}`, message }],
      cause: error,
    });
  }
}

async function runTransaction(data: Data, request: RouteRequest<unknown, Operation[]>): Promise<RouteAnswer> {
  const run = async (writer: DataWriter): Promise<RouteAnswer> => {
    const results: { op: string; id: string }[] = [];
    for (const [index, step] of request.body.entries()) {
      results.push(await namingStep(index, runOperation(writer, step)));
    }
    const answer = { status: 200, json: { committed: true, results } };
    await request.receipt?.commit(writer.tx, answer);
    return answer;
  };
  return data.write(scopeOf(request), run, { exclusive: true });
}

const ENTITY = "/api/entities/:entity";
const ROW = "/api/entities/:entity/:id";

function targetOf({ params }: RouteRequest): [entity: string, id: string] {
  return [params.entity ?? "", params.id ?? ""];
}

function shown(data: Data, entity: string, row: Row): JsonObject {
  return data.model.entity(entity).codec.toJson(row);
}

/** The row after a change; only its id for a caller who may change it and not read it. */
function shownTo(data: Data, { identity, params }: RouteRequest, row: Row): JsonObject {
  const { rules, codec } = data.model.entity(params.entity ?? "");
  const isReadable = rules.allows("read", identity, { data: row, existing: null });
  return isReadable ? codec.toJson(row) : { id: row.id };
}

function createRoute(data: Data): Route {
  return defineRoute({
    method: "POST",
    path: ENTITY,
    access: "anyone",
    tag: "entities",
    summary: "Create a row",
    body: anyObject,
    idempotency: "transactional",
    answers: { 201: { description: "The new row" } },
    handle(request) {
      const [entity] = targetOf(request);
      return writeOne(data, request, {
        alone: () => data.insert(scopeOf(request), entity, request.body),
        within: (writer) => writer.insert(entity, request.body),
        toAnswer: (row) => ({ status: 201, json: shown(data, entity, row) }),
      });
    },
  });
}

function listRoute(data: Data): Route {
  return defineRoute({
    method: "GET",
    path: ENTITY,
    access: "anyone",
    tag: "entities",
    summary: "List rows by page; other parameters are equality filters",
    query: listQuery,
    answers: { 200: { description: "A page of rows" } },
    handle: (request) => listEntity(data, request),
  });
}

function readRoute(data: Data): Route {
  return defineRoute({
    method: "GET",
    path: ROW,
    access: "anyone",
    tag: "entities",
    summary: "Read a row",
    answers: { 200: { description: "The row" }, 404: { description: "No such row" } },
    async handle(request) {
      const [entity, id] = targetOf(request);
      const row = await data.read(scopeOf(request)).get(entity, id);
      if (!row) throw missing(entity);
      return { status: 200, json: shown(data, entity, row) };
    },
  });
}

function updateRoute(data: Data): Route {
  return defineRoute({
    method: "PATCH",
    path: ROW,
    access: "anyone",
    tag: "entities",
    summary: "Change the given fields of a row",
    body: anyObject,
    idempotency: "transactional",
    answers: { 200: { description: "The row after the write" }, 404: { description: "No such row" } },
    handle(request) {
      const [entity, id] = targetOf(request);
      return writeOne(data, request, {
        alone: () => data.update(scopeOf(request), entity, id, request.body),
        within: (writer) => writer.update(entity, id, request.body),
        toAnswer: (row) => ({ status: 200, json: { updated: true, ...shownTo(data, request, row) } }),
      });
    },
  });
}

function deleteRoute(data: Data): Route {
  return defineRoute({
    method: "DELETE",
    path: ROW,
    access: "anyone",
    tag: "entities",
    summary: "Delete a row",
    idempotency: "transactional",
    answers: { 200: { description: "Deleted" }, 404: { description: "No such row" } },
    handle(request) {
      const [entity, id] = targetOf(request);
      return writeOne(data, request, {
        alone: () => data.delete(scopeOf(request), entity, id),
        within: (writer) => writer.delete(entity, id),
        toAnswer: () => ({ status: 200, json: { deleted: true } }),
      });
    },
  });
}

function transactRoute(data: Data): Route {
  return defineRoute({
    method: "POST",
    path: "/api/transact",
    access: "admin",
    tag: "entities",
    summary: "Several writes, all or nothing",
    body: transaction,
    idempotency: "transactional",
    answers: { 200: { description: "What was written" } },
    handle: (request) => runTransaction(data, request),
  });
}

export function entityRoutes(data: Data): Route[] {
  const routes = [createRoute, listRoute, readRoute, updateRoute, deleteRoute, transactRoute];
  return routes.map((route) => route(data));
}
