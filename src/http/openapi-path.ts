// Hono's paths as OpenAPI's templates, and the names of operations that follow from them. Pure.

export interface PathParameter {
  readonly name: string;
  /** What the router lets through, when the route says so. */
  readonly pattern?: string;
}

export interface PathTemplate {
  /** `/api/admin/deliveries/{deliveryId}` */
  readonly template: string;
  readonly parameters: readonly PathParameter[];
}

/** `:name`, `:name{pattern}` and `*`. */
const PLACEHOLDER = /:([A-Za-z_]\w*)(?:\{(.+?)\})?(?=[/?]|$)\??|\*/g;
/** What a `*` is called. */
const REST = "rest";

export function toPathTemplate(path: string): PathTemplate {
  const parameters: PathParameter[] = [];
  const template = path.replaceAll(PLACEHOLDER, (_, name: string | undefined, pattern: string | undefined) => {
    const parameter = { name: name ?? REST, ...(pattern === undefined ? {} : { pattern: `^${pattern}$` }) };
    parameters.push(parameter);
    return `{${parameter.name}}`;
  });
  return { template, parameters };
}

/** The template without its names: two paths of one shape are one path to OpenAPI. */
export function shapeOf(template: string): string {
  return template.replaceAll(/\{\w+\}/g, "{}");
}

/** A name as a part of a path that means itself: nothing in it is a placeholder. */
export function toLiteral(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll("*", "%2A");
}

/** `place-order` → `PlaceOrder` */
export function toPascal(text: string): string {
  const words = text.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

/** `delete`, `/api/auth/orgs/:id/members/:userId` → `deleteAuthOrgsByIdMembersByUserId` */
export function toOperationId(method: string, path: string): string {
  const { template } = toPathTemplate(path);
  const words = template
    .split("/")
    .filter((segment) => segment !== "" && segment !== "api")
    .map((segment) => (segment.startsWith("{") ? `By${toPascal(segment)}` : toPascal(segment)));
  return method + words.join("");
}
