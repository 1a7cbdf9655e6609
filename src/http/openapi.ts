// The OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.0), made from the routes that are served, the application's
// entities and its functions. It is derived from what answers the requests, so nothing is served and left out.

import type { Json, JsonObject } from "../core/json.ts";
import type { FunctionInfo } from "../functions/functions.ts";
import type { OutgoingWebhook } from "../plugin/plugin.ts";
import type { Method, Route } from "../plugin/route.ts";
import { type Components, createComponents, createNames } from "./openapi-components.ts";
import {
  addEntitySchemas,
  type DescribedEntity,
  type EntitySchemas,
  expandEntityRoute,
  isEntityRoute,
} from "./openapi-entities.ts";
import { ERROR_RESPONSES, ERROR_SCHEMAS } from "./openapi-errors.ts";
import { expandFunctionRoute, isFunctionRoute } from "./openapi-functions.ts";
import { describeOperation, type Endpoint, type OperationMethod } from "./openapi-operation.ts";
import { type PathTemplate, shapeOf, toOperationId, toPathTemplate } from "./openapi-path.ts";

/** What an instance serves. */
export interface ApiParts {
  /** The application's. */
  readonly name: string;
  /** The application's. */
  readonly version: string;
  /** In the order in which they are tried. */
  readonly routes: readonly Route[];
  readonly entities: readonly DescribedEntity[];
  readonly functions: readonly FunctionInfo[];
  /** Null: the address that the document was read from. */
  readonly publicUrl: string | null;
  /** What is sent to others, by name. @default nothing */
  readonly webhooks?: Readonly<Record<string, OutgoingWebhook>>;
}

const DIALECT = "https://json-schema.org/draft/2020-12/schema";

const METHODS: Readonly<Record<Method, readonly OperationMethod[]>> = {
  GET: ["get"],
  POST: ["post"],
  PUT: ["put"],
  PATCH: ["patch"],
  DELETE: ["delete"],
  ALL: ["get", "post", "put", "patch", "delete"],
};

const SHARED: JsonObject = {
  securitySchemes: {
    bearer: {
      type: "http",
      scheme: "bearer",
      description: "A session token, an API key, the admin token, or a JWT where that is configured",
    },
    apiKey: {
      type: "apiKey",
      in: "header",
      name: "X-API-Key",
      description: "An API key; `Authorization` beside it counts alone",
    },
  },
  parameters: {
    RequestId: {
      name: "X-Request-Id",
      in: "header",
      required: false,
      description: "The caller's name for the request; without one it gets a new one",
      schema: { type: "string", pattern: "^[A-Za-z0-9._:-]{1,128}$" },
    },
    IdempotencyKey: {
      name: "Idempotency-Key",
      in: "header",
      required: false,
      description: "The same key within 24 hours answers what the first request answered, and nothing is done again",
      schema: { type: "string", pattern: "^[\\x21-\\x7e]{1,255}$" },
    },
  },
  headers: {
    RequestId: { description: "The request in logs and in the audit log", schema: { type: "string" } },
    RetryAfter: { description: "Seconds to wait before trying again", schema: { type: "integer", minimum: 0 } },
  },
  responses: ERROR_RESPONSES,
};

function expandRoute(route: Route, parts: ApiParts, entities: readonly EntitySchemas[]): Endpoint[] {
  const methods = METHODS[route.method];
  if (isEntityRoute(route)) return expandEntityRoute(route, methods, entities);
  if (isFunctionRoute(route)) return expandFunctionRoute(route, methods, parts.functions);
  const { path } = route;
  return methods.map((method) => ({ route, method, path, operationId: toOperationId(method, path) }));
}

/** Of two endpoints with one method and one path the first is served, so it is the one described. */
function describePaths(endpoints: readonly Endpoint[], components: Components): JsonObject {
  const paths: Record<string, Record<string, Json>> = {};
  const templates = new Map<string, PathTemplate>();
  const claimId = createNames();
  for (const endpoint of endpoints) {
    const own = toPathTemplate(endpoint.path);
    const shape = shapeOf(own.template);
    const { template, parameters } = templates.get(shape) ?? own;
    templates.set(shape, { template, parameters });
    const operations = (paths[template] ??= {});
    if (Object.hasOwn(operations, endpoint.method)) continue;
    const operationId = claimId(endpoint.operationId);
    operations[endpoint.method] = describeOperation({ ...endpoint, operationId }, parameters, components);
  }
  return paths;
}

function tagsOf(endpoints: readonly Endpoint[]): JsonObject[] {
  return [...new Set(endpoints.map(({ route }) => route.tag))].map((name) => ({ name }));
}

/** A request that others receive; a status from 200 to 299 counts as received (https://spec.openapis.org/oas/v3.1.0#oas-webhooks). */
function describeWebhook(name: string, { summary, headers, body }: OutgoingWebhook): JsonObject {
  const parameters = Object.entries(headers).map(([header, described]): JsonObject => ({
    name: header,
    in: "header",
    required: true,
    ...described,
  }));
  return {
    post: {
      operationId: name,
      summary,
      tags: ["webhooks"],
      parameters,
      requestBody: { required: true, content: { "application/json": { schema: body } } },
      responses: { "2XX": { description: "Taken; anything else is tried again" } },
    },
  };
}

function describeWebhooks(webhooks: Readonly<Record<string, OutgoingWebhook>>): JsonObject {
  const described = Object.entries(webhooks).map(([name, webhook]) => [name, describeWebhook(name, webhook)] as const);
  return described.length === 0 ? {} : { webhooks: Object.fromEntries(described) };
}

/** Describes everything that is served. Pure. */
export function describeApi(parts: ApiParts): JsonObject {
  const components = createComponents();
  for (const [name, schema] of Object.entries(ERROR_SCHEMAS)) components.set(components.claim(name), schema);
  const entities = addEntitySchemas(parts.entities, components);
  const endpoints = parts.routes.flatMap((route) => expandRoute(route, parts, entities));
  return {
    openapi: "3.1.0",
    jsonSchemaDialect: DIALECT,
    info: { title: parts.name, version: parts.version },
    servers: [{ url: parts.publicUrl ?? "/" }],
    tags: tagsOf(endpoints),
    paths: describePaths(endpoints, components),
    ...describeWebhooks(parts.webhooks ?? {}),
    components: { schemas: components.schemas, ...SHARED },
  };
}

/** Creates the document's text: made when it is first asked for, and again once the functions have changed. */
export function createApiDocument(
  fixed: Omit<ApiParts, "functions">,
  listFunctions: () => readonly FunctionInfo[],
): () => string {
  let built: { readonly listed: string; readonly text: string } | null = null;
  return () => {
    const functions = listFunctions();
    const listed = JSON.stringify(functions);
    if (built?.listed !== listed) built = { listed, text: JSON.stringify(describeApi({ ...fixed, functions })) };
    return built.text;
  };
}
