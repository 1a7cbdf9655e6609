// An application's functions in the OpenAPI document: each under its own path with its arguments, and actions under the
// path that takes any request as well.

import type { JsonObject } from "../core/json.ts";
import type { FunctionInfo } from "../functions/functions.ts";
import type { Route } from "../plugin/route.ts";
import { FUNCTION_PATH, WEBHOOK_PATH } from "./function-routes.ts";
import type { Endpoint, OperationMethod } from "./openapi-operation.ts";
import { toLiteral, toPascal } from "./openapi-path.ts";

const BY_NAME = ":name";

function callOf(info: FunctionInfo): Partial<Endpoint> {
  const { name, kind, argsSchema } = info;
  const { required } = argsSchema;
  const isRequired = Array.isArray(required) && required.length > 0;
  return {
    summary: `Call the ${kind} ${name}`,
    body: { schema: argsSchema, required: isRequired },
    extensions: { "x-pylon-kind": kind } satisfies JsonObject,
  };
}

interface NamedRoute {
  /** Starts the operation's id. */
  readonly verb: (method: OperationMethod) => string;
  readonly serves: (info: FunctionInfo) => boolean;
  readonly describe: (info: FunctionInfo) => Partial<Endpoint>;
}

const NAMED_ROUTES: Readonly<Record<string, NamedRoute>> = {
  [FUNCTION_PATH]: { verb: () => "call", serves: () => true, describe: callOf },
  [WEBHOOK_PATH]: {
    verb: (method) => `${method}Webhook`,
    serves: ({ kind }) => kind === "action",
    describe: ({ name }) => ({ summary: `Hand a request to the action ${name}` }),
  },
};

/** Whether `route` serves any function by its name. */
export function isFunctionRoute({ path }: Route): boolean {
  return Object.hasOwn(NAMED_ROUTES, path);
}

/** The route for each function that it serves. */
export function expandFunctionRoute(
  route: Route,
  methods: readonly OperationMethod[],
  functions: readonly FunctionInfo[],
): Endpoint[] {
  const named = NAMED_ROUTES[route.path];
  if (!named) return [];
  return functions.filter(named.serves).flatMap((info) => {
    const path = route.path.replace(BY_NAME, () => toLiteral(info.name));
    return methods.map((method) => {
      const operationId = named.verb(method) + toPascal(info.name);
      return { route, method, path, operationId, ...named.describe(info) };
    });
  });
}
