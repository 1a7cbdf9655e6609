// What has to hold for any OpenAPI 3.1 document that is handed out, as a list of everything in it that is wrong.

import { isObject } from "../../src/core/json.ts";

type Node = Readonly<Record<string, unknown>>;

const METHODS = ["get", "post", "put", "patch", "delete"];
const TYPES = new Set(["null", "boolean", "object", "array", "number", "string", "integer"]);
const COMPONENT_NAME = /^[A-Za-z0-9._-]+$/;
/** Keywords of JSON Schema 2020-12 that a schema may hold here; `$schema`, `$defs` and `nullable` are not among them. */
const KEYWORDS = new Set([
  ...["$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf", "not", "title", "description", "default"],
  ...["properties", "required", "additionalProperties", "propertyNames", "patternProperties", "items", "prefixItems"],
  ...["minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern", "format", "contentEncoding"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "examples", "readOnly", "id"],
]);

function nodeAt(value: unknown, ...path: string[]): Node {
  let node: unknown = value;
  for (const key of path) node = isObject(node) ? node[key] : undefined;
  return isObject(node) ? node : {};
}

function listAt(value: unknown, key: string): readonly unknown[] {
  const list = isObject(value) ? value[key] : undefined;
  return Array.isArray(list) ? list : [];
}

export function resolveRef(document: unknown, ref: string): unknown {
  if (!ref.startsWith("#/")) return undefined;
  let node: unknown = document;
  for (const key of ref.slice(2).split("/")) {
    const name = key.replaceAll("~1", "/").replaceAll("~0", "~");
    node = isObject(node) && Object.hasOwn(node, name) ? node[name] : undefined;
  }
  return node;
}

export interface FoundOperation {
  readonly path: string;
  readonly method: string;
  readonly operation: Node;
}

export function operationsOf(document: unknown): FoundOperation[] {
  return Object.entries(nodeAt(document, "paths")).flatMap(([path, item]) =>
    Object.entries(nodeAt(item)).map(([method, operation]) => ({ path, method, operation: nodeAt(operation) })),
  );
}

function findBrokenRefs(document: unknown): string[] {
  const broken: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isObject(value)) return;
    const ref = value["$ref"];
    if (typeof ref === "string" && resolveRef(document, ref) === undefined) broken.push(`No target: ${ref}`);
    Object.values(value).forEach(visit);
  };
  visit(document);
  return broken;
}

function checkSchema(schema: unknown, at: string): string[] {
  if (typeof schema === "boolean") return [];
  if (!isObject(schema)) return [`Not a schema: ${at}`];
  const problems = Object.keys(schema)
    .filter((key) => !KEYWORDS.has(key))
    .map((key) => `Not a keyword: ${at}.${key}`);
  const { type, required, properties = {}, minimum, maximum, exclusiveMinimum, items } = schema;
  for (const name of [type].flat()) {
    if (name !== undefined && !TYPES.has(name as string)) problems.push(`Not a type: ${at}: ${JSON.stringify(name)}`);
  }
  if (Array.isArray(type) && new Set(type).size !== type.length) problems.push(`Repeated type: ${at}`);
  for (const bound of [minimum, maximum, exclusiveMinimum]) {
    if (bound !== undefined && typeof bound !== "number") problems.push(`Not a number: ${at}`);
  }
  for (const name of (required ?? []) as string[]) {
    if (!Object.hasOwn(properties as object, name)) problems.push(`Required but not there: ${at}.${name}`);
  }
  const parts: [string, unknown][] = [
    ...Object.entries(properties as object).map(([name, part]): [string, unknown] => [`properties.${name}`, part]),
    ...["anyOf", "oneOf", "allOf", "prefixItems"].flatMap((key) =>
      listAt(schema, key).map((part, index): [string, unknown] => [`${key}.${index}`, part]),
    ),
    ...(items === undefined ? [] : [["items", items] as [string, unknown]]),
    ...["additionalProperties", "propertyNames", "not"].flatMap((key): [string, unknown][] =>
      schema[key] === undefined ? [] : [[key, schema[key]]],
    ),
  ];
  return [...problems, ...parts.flatMap(([name, part]) => checkSchema(part, `${at}.${name}`))];
}

function findContents(document: unknown): [string, unknown][] {
  const { schemas, responses } = nodeAt(document, "components");
  const holders: [string, unknown][] = [
    ...Object.entries(nodeAt(responses)),
    ...operationsOf(document).flatMap(({ method, path, operation }): [string, unknown][] => [
      [`${method} ${path} body`, operation["requestBody"]],
      ...Object.entries(nodeAt(operation["responses"])).map(([status, answer]): [string, unknown] => [
        `${method} ${path} ${status}`,
        answer,
      ]),
    ]),
  ];
  const contents = holders.flatMap(([at, holder]) =>
    Object.entries(nodeAt(holder, "content")).map(([type, media]): [string, unknown] => [
      `${at} ${type}`,
      nodeAt(media)["schema"],
    ]),
  );
  const parameters = operationsOf(document).flatMap(({ method, path, operation }) =>
    listAt(operation, "parameters")
      .filter((parameter) => nodeAt(parameter)["$ref"] === undefined)
      .map((parameter): [string, unknown] => [
        `${method} ${path} ${String(nodeAt(parameter)["name"])}`,
        nodeAt(parameter)["schema"],
      ]),
  );
  return [...Object.entries(nodeAt(schemas)), ...contents, ...parameters];
}

function isSameSet(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && new Set(a).size === a.length && a.every((item) => b.includes(item));
}

function checkParameters(document: unknown, { path, method, operation }: FoundOperation): string[] {
  const at = `${method} ${path}`;
  const resolved = listAt(operation, "parameters").map((parameter) => {
    const ref = nodeAt(parameter)["$ref"];
    return nodeAt(typeof ref === "string" ? resolveRef(document, ref) : parameter);
  });
  const keys = resolved.map((parameter) => `${String(parameter["in"])} ${String(parameter["name"])}`);
  const declared = resolved.filter((parameter) => parameter["in"] === "path");
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const names = declared.map((parameter) => parameter["name"]);
  return [
    ...(new Set(keys).size === keys.length ? [] : [`Repeated parameter: ${at}`]),
    ...(isSameSet(names, inPath) ? [] : [`Path parameters differ: ${at}: ${names.join()}`]),
    ...declared.filter((parameter) => parameter["required"] !== true).map(() => `Optional in the path: ${at}`),
    ...(/[:*]|\{\}|\/\//.test(path) ? [`Not a template: ${at}`] : []),
  ];
}

function checkOperation(document: unknown, found: FoundOperation): string[] {
  const { path, method, operation } = found;
  const at = `${method} ${path}`;
  const tags = new Set(listAt(document, "tags").map((tag) => nodeAt(tag)["name"]));
  const schemes = nodeAt(document, "components", "securitySchemes");
  const answers = Object.entries(nodeAt(operation["responses"]));
  return [
    ...(METHODS.includes(method) ? [] : [`Not a method: ${at}`]),
    ...(answers.length > 0 ? [] : [`No answers: ${at}`]),
    ...answers
      .filter(([status]) => !/^([1-5]\d\d|default)$/.test(status))
      .map(([status]) => `Status: ${at}: ${status}`),
    ...answers
      .filter(([, answer]) => !("$ref" in nodeAt(answer)) && typeof nodeAt(answer)["description"] !== "string")
      .map(([status]) => `No description: ${at}: ${status}`),
    ...listAt(operation, "tags")
      .filter((tag) => !tags.has(tag))
      .map((tag) => `Unknown tag: ${String(tag)}`),
    ...listAt(operation, "security")
      .flatMap((need) => Object.keys(nodeAt(need)))
      .filter((name) => !Object.hasOwn(schemes, name))
      .map((name) => `Unknown scheme: ${name}`),
    ...(["get", "delete"].includes(method) && "requestBody" in operation ? [`A body: ${at}`] : []),
    ...checkParameters(document, found),
  ];
}

/** Everything that is wrong with the document's structure. */
export function findProblems(document: unknown): string[] {
  const operations = operationsOf(document);
  const ids = operations.map(({ operation }) => operation["operationId"]);
  const shapes = Object.keys(nodeAt(document, "paths")).map((path) => path.replaceAll(/\{\w+\}/g, "{}"));
  const names = Object.keys(nodeAt(document, "components", "schemas"));
  return [
    ...(/^3\.1\.\d+$/.test(String(nodeAt(document)["openapi"])) ? [] : ["Not 3.1"]),
    ...(ids.every((id) => typeof id === "string" && id !== "") ? [] : ["An operation without an id"]),
    ...(new Set(ids).size === ids.length ? [] : ["Repeated operation ids"]),
    ...(new Set(shapes).size === shapes.length ? [] : ["Two paths of one shape"]),
    ...names.filter((name) => !COMPONENT_NAME.test(name)).map((name) => `Name of a component: ${name}`),
    ...operations.flatMap((operation) => checkOperation(document, operation)),
    ...findContents(document).flatMap(([at, schema]) => checkSchema(schema, at)),
    ...findBrokenRefs(document),
  ];
}
