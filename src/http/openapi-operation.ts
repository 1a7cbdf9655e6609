// One operation of the OpenAPI document: what a route takes, what it answers, and who may call it.

import { isObject, type Json, type JsonObject } from "../core/json.ts";
import type { Access, Route } from "../plugin/route.ts";
import type { Components } from "./openapi-components.ts";
import { describeErrorAnswer, REQUEST_ID_HEADER, refToErrorResponse } from "./openapi-errors.ts";
import { type PathParameter, toPascal } from "./openapi-path.ts";
import { toJsonSchema, toQueryParameters } from "./openapi-zod.ts";

export type OperationMethod = "get" | "post" | "put" | "patch" | "delete";

/** A route under one method and one path. What is given here stands for what the route says in general. */
export interface Endpoint {
  readonly route: Route;
  readonly method: OperationMethod;
  /** Hono syntax. */
  readonly path: string;
  /** The name that it wishes for. */
  readonly operationId: string;
  readonly summary?: string;
  /** Parameter objects in the place of the route's query. */
  readonly query?: readonly JsonObject[];
  readonly body?: { readonly schema: JsonObject; readonly required: boolean };
  /** The schema of what succeeds. */
  readonly answer?: JsonObject;
  /** Statuses that it may answer besides those of every route like it. */
  readonly errors?: readonly number[];
  readonly extensions?: JsonObject;
}

/** An empty requirement is "or none at all". */
const SECURITY: Readonly<Record<Access, readonly JsonObject[]>> = {
  anyone: [{}, { bearer: [] }, { apiKey: [] }],
  user: [{ bearer: [] }, { apiKey: [] }],
  admin: [{ bearer: [] }],
};

const BODILESS: ReadonlySet<OperationMethod> = new Set(["get", "delete"]);

function refToParameter(name: string): JsonObject {
  return { $ref: `#/components/parameters/${name}` };
}

function describePathParameter({ name, pattern }: PathParameter): JsonObject {
  const schema = { type: "string", ...(pattern === undefined ? {} : { pattern }) };
  return { name, in: "path", required: true, schema };
}

function describeParameters(endpoint: Endpoint, named: readonly PathParameter[], query: readonly JsonObject[]): Json {
  const headers = endpoint.route.idempotency ? ["IdempotencyKey", "RequestId"] : ["RequestId"];
  return [...named.map(describePathParameter), ...query, ...headers.map(refToParameter)];
}

function describeBody(endpoint: Endpoint, schemaName: string, components: Components): JsonObject | undefined {
  const { route, body, method } = endpoint;
  if (body) return { required: body.required, content: { "application/json": { schema: body.schema } } };
  if (route.rawBody) return BODILESS.has(method) ? undefined : { required: false, content: { "*/*": { schema: {} } } };
  if (!route.body) return undefined;
  const schema = toJsonSchema(route.body, schemaName, components);
  const required = !route.body.safeParse(undefined).success;
  return { required, content: { "application/json": { schema } } };
}

/** The statuses that the way to the handler can end with. */
function commonErrors({ route, query, errors = [] }: Endpoint): number[] {
  const { access, body, rawBody, idempotency } = route;
  const takesInput = Boolean(body ?? route.query ?? query ?? idempotency);
  return [
    ...(takesInput ? [400] : []),
    401,
    ...(access === "admin" ? [403] : []),
    ...(body || rawBody ? [413] : []),
    ...(body ? [415] : []),
    ...(idempotency ? [409, 422] : []),
    ...errors,
  ];
}

function describeSuccess(description: string, schema: Json | undefined): JsonObject {
  const answer = { description, headers: REQUEST_ID_HEADER };
  if (!isObject(schema)) return answer;
  const { contentMediaType = "application/json", ...rest } = schema;
  return { ...answer, content: { [contentMediaType as string]: { schema: rest } } };
}

function describeAnswers(endpoint: Endpoint): JsonObject {
  const answers: Record<string, Json> = {};
  for (const [key, { description, schema }] of Object.entries(endpoint.route.answers)) {
    const status = Number(key);
    answers[key] =
      status < 400
        ? describeSuccess(description, status < 300 ? (endpoint.answer ?? schema) : schema)
        : describeErrorAnswer(status, description, schema as JsonObject | undefined);
  }
  for (const status of commonErrors(endpoint)) answers[status] ??= refToErrorResponse(status);
  return { ...answers, default: refToErrorResponse("default") };
}

/** `parameters` are those of the path as the document writes it. */
export function describeOperation(
  endpoint: Endpoint,
  parameters: readonly PathParameter[],
  components: Components,
): JsonObject {
  const { route, operationId, extensions } = endpoint;
  const schemaName = toPascal(operationId);
  const query =
    endpoint.query ??
    (route.query ? toQueryParameters(toJsonSchema(route.query, `${schemaName}Query`, components)) : []);
  const requestBody = describeBody(endpoint, `${schemaName}Body`, components);
  return {
    operationId,
    summary: endpoint.summary ?? route.summary,
    tags: [route.tag],
    security: SECURITY[route.access],
    "x-pylon-access": route.access,
    ...extensions,
    parameters: describeParameters(endpoint, parameters, query),
    ...(requestBody ? { requestBody } : {}),
    responses: describeAnswers(endpoint),
  };
}
