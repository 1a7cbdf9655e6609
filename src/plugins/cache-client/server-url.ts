// Where the shared servers are, out of the environment. A URL holds credentials: it is taken apart here and shown nowhere.

import type { SharedServerOptions } from "../../cache/shared-server.ts";

/** One server. */
export type Target = Pick<SharedServerOptions, "host" | "port" | "username" | "password" | "database" | "tls">;

export type Backend = SharedServerOptions["backend"];

interface Scheme {
  readonly port: number;
  readonly protocols: Readonly<Record<string, { readonly tls: boolean }>>;
  /** What it looks like, for the reader of a problem. */
  readonly form: string;
}

const SCHEMES: Readonly<Record<Backend, Scheme>> = {
  redis: {
    port: 6_379,
    protocols: { "redis:": { tls: false }, "rediss:": { tls: true } },
    form: "redis://[user:password@]host[:port][/database] or rediss://…",
  },
  memcached: {
    port: 11_211,
    protocols: { "memcached:": { tls: false }, "memcacheds:": { tls: true } },
    form: "memcached://host[:port][,host[:port]…]",
  },
};

const MAX_SERVERS = 64;

export function describeForm(backend: Backend): string {
  return SCHEMES[backend].form;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function toTarget(text: string, { port, protocols }: Scheme): Target | undefined {
  const url = URL.parse(text);
  const protocol = url && protocols[url.protocol];
  if (!url || !protocol || url.hostname === "" || url.search !== "" || url.hash !== "") return undefined;
  const [username, password] = [decode(url.username), decode(url.password)];
  if (username === undefined || password === undefined) return undefined;
  return {
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port === "" ? port : Number(url.port),
    tls: protocol.tls,
    ...(username === "" ? {} : { username }),
    ...(password === "" ? {} : { password }),
  };
}

function parseRedisUrl(text: string): Target | undefined {
  const target = toTarget(text, SCHEMES.redis);
  const database = /^\/?(\d{0,5})$/.exec(URL.parse(text)?.pathname ?? "")?.[1];
  return target && database !== undefined ? { ...target, database: Number(database) } : undefined;
}

function parseMemcachedUrl(text: string): readonly Target[] | undefined {
  const [, scheme = "", list = ""] = /^([a-z]+:\/\/)(.*)$/.exec(text) ?? [];
  const targets = list.split(",").map((server) => {
    const target = toTarget(`${scheme}${server}`, SCHEMES.memcached);
    // The text protocol has no authentication, and a path would mean nothing.
    const isPlain = target?.username === undefined && target?.password === undefined && !server.includes("/");
    return isPlain ? target : undefined;
  });
  return targets.length <= MAX_SERVERS && targets.every((target) => target !== undefined) ? targets : undefined;
}

/** The servers that a URL names; undefined when it does not fit its backend. */
export function parseServerUrl(backend: Backend, text: string): readonly Target[] | undefined {
  if (backend === "memcached") return parseMemcachedUrl(text);
  const target = parseRedisUrl(text);
  return target && [target];
}
