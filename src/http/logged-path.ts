// The path of a request as its log line shows it: without the query, and without what opens a door to whoever reads logs.

import type { Route } from "../plugin/route.ts";

/** A path parameter that is a secret, such as the token of an invite. */
const SECRET_PARAMETER = /:(?:token|secret)\b/;
/** On a path that no route knows, anything as long as a token may be one: a mistyped address of an invite. */
const LONG_SEGMENT = /[^/]{32,}/g;
const MAX_CHARS = 256;

/** The path without its query. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("//") + 2);
  const end = url.indexOf("?", start);
  return start < 0 ? "/" : url.slice(start, end < 0 ? undefined : end);
}

/** The path to log for a request that `route` answers. At most 256 characters. */
export function loggedPath(route: Pick<Route, "path">, url: string): string {
  if (SECRET_PARAMETER.test(route.path)) return route.path;
  const path = pathOf(url);
  return (route.path === "*" ? path.replaceAll(LONG_SEGMENT, "…") : path).slice(0, MAX_CHARS);
}
