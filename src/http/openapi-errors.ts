// Errors as the OpenAPI document shows them: one shape, and under each status the codes that are known to come with it.

import { coreError, type ErrorSpec } from "../core/errors.ts";
import type { JsonObject } from "../core/json.ts";
import { authError } from "../auth/auth-errors.ts";
import { dataError } from "../data/data-errors.ts";
import { functionError } from "../functions/function-errors.ts";
import { storeError } from "../store/store-errors.ts";
import { httpError } from "./http-errors.ts";
import { objectOf, refTo, TEXT } from "./openapi-schema.ts";

const TABLES: readonly Readonly<Record<string, ErrorSpec>>[] = [
  coreError.table,
  httpError.table,
  authError.table,
  dataError.table,
  functionError.table,
  storeError.table,
];

/** Raised only while starting, when nobody can ask. */
const AT_START: ReadonlySet<string> = new Set([
  "CONFIG_INVALID",
  "CONFIG_ENV_MISSING",
  "STORE_UNWRITABLE",
  "STORE_TOO_OLD",
  "STORE_NEWER",
]);

const CODES: ReadonlyMap<string, ErrorSpec> = new Map(
  TABLES.flatMap((table) => Object.entries(table).filter(([code]) => !AT_START.has(code))),
);

export const ERROR = "Error";
export const ERROR_CODE = "ErrorCode";

const problem = objectOf({ path: { ...TEXT, description: "Dotted, such as items.0.price" }, message: TEXT });

export const ERROR_SCHEMAS: Readonly<Record<string, JsonObject>> = {
  [ERROR]: objectOf({
    error: objectOf(
      {
        code: refTo(ERROR_CODE),
        message: { ...TEXT, description: "For people; match the code instead" },
        hint: { ...TEXT, description: "What can be done next" },
        details: { type: "array", items: problem, description: "Everything that is wrong with the input" },
      },
      ["hint", "details"],
    ),
  }),
  [ERROR_CODE]: {
    description: "Codes stay as they are; new ones may be added",
    anyOf: [
      { type: "string", enum: [...CODES.keys()] },
      { type: "string", description: "A plugin's code, or one that a function raised with ctx.error" },
    ],
  },
};

export const REQUEST_ID_HEADER: JsonObject = { "X-Request-Id": { $ref: "#/components/headers/RequestId" } };
const RETRY_AFTER_HEADER: JsonObject = { "Retry-After": { $ref: "#/components/headers/RetryAfter" } };
const RETRYABLE: ReadonlySet<number> = new Set([429, 503]);

/** The answer of an error. One with a `schema` of its own is made by its route and says no time to wait. */
export function describeErrorAnswer(status: number, description: string, schema?: JsonObject): JsonObject {
  const saysWhen = schema === undefined && RETRYABLE.has(status);
  return {
    description,
    headers: saysWhen ? { ...REQUEST_ID_HEADER, ...RETRY_AFTER_HEADER } : REQUEST_ID_HEADER,
    content: { "application/json": { schema: schema ?? refTo(ERROR) } },
  };
}

/** What each status means wherever it is not said better. */
const STATUS_MEANINGS: Readonly<Record<number, string>> = {
  400: "The request does not fit",
  401: "The caller is not known",
  403: "The caller may not do this",
  404: "There is nothing there",
  409: "It is in the way of something else",
  413: "The body is too large",
  415: "The body is not JSON",
  422: "The Idempotency-Key was used for another request",
};

function describeStatus(status: number, meaning: string): string {
  const known = [...CODES].filter(([, spec]) => spec.status === status);
  return [meaning, "", ...known.map(([code, { message }]) => `- \`${code}\`: ${message}`)].join("\n");
}

/** The document's named answers: `Error400` and so on, and `Error` for whatever is left. */
export const ERROR_RESPONSES: Readonly<Record<string, JsonObject>> = {
  ...Object.fromEntries(
    Object.entries(STATUS_MEANINGS).map(([status, meaning]) => [
      `Error${status}`,
      describeErrorAnswer(Number(status), describeStatus(Number(status), meaning)),
    ]),
  ),
  Error: describeErrorAnswer(503, "Any other error"),
};

export function refToErrorResponse(status: number | "default"): JsonObject {
  const name = status === "default" || !Object.hasOwn(STATUS_MEANINGS, status) ? "Error" : `Error${status}`;
  return { $ref: `#/components/responses/${name}` };
}
