// The configuration of the `webhooks` plugin, and hooks ready to use: headers filled from the environment, secrets read.

import { z } from "zod";
import type { Env } from "../../core/env.ts";
import type { Problem } from "../../core/errors.ts";
import type { WriteOp } from "../../data/change.ts";
import { isHeaderName, isHeaderValue, RESERVED_HEADERS } from "../../net/outbound-headers.ts";
import { isTargetUrl, MAX_TARGET_CHARS } from "../../net/target-url.ts";
import { whyUnheard } from "../../plugin/heard-entities.ts";
import type { CheckContext } from "../../plugin/plugin.ts";

const VARIABLE = /\$\{([A-Za-z_][A-Za-z0-9_]*)\}/g;
/** What the delivery itself sets, and what would change how the body is read; the connection's headers come on top. */
const OWN_HEADERS: readonly string[] = ["accept-encoding", "content-encoding", "content-type", "x-pylon-signature"];
const REFUSED_HEADERS: ReadonlySet<string> = new Set([...RESERVED_HEADERS, ...OWN_HEADERS]);

/** Seeds: `{entity, events, url, secret_env?, headers?, retry?}`; `name` identifies the hook across restarts. */
const hookSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9_.-]{1,64}$/, "Expected 1 to 64 letters, digits, dots, dashes or underscores")
    .optional(),
  entity: z.string().min(1),
  events: z.array(z.enum(["insert", "update", "delete"])).min(1),
  url: z.string().max(MAX_TARGET_CHARS).refine(isTargetUrl, "Expected an http(s) URL without user information"),
  secret_env: z.string().min(1).optional(),
  headers: z.record(z.string().refine(isHeaderName, "Not a header name"), z.string().max(4_096)).optional(),
  retry: z
    .strictObject({
      max_attempts: z.number().int().min(1).max(100).default(5),
      /** Seconds; a fraction is allowed. */
      backoff_secs: z.number().min(0).max(86_400).default(30),
    })
    .prefault({}),
});

export const webhooksConfig = z.strictObject({ hooks: z.array(hookSchema).max(200).default([]) });

export type WebhooksConfig = z.infer<typeof webhooksConfig>;

/** A hook ready to use. */
export interface Hook {
  /** The given name, or `hooks[<index>]`. */
  readonly name: string;
  /** Whether the configuration gave the name: only then does a delivery follow the hook to a new URL. */
  readonly named: boolean;
  readonly entity: string;
  readonly events: ReadonlySet<WriteOp>;
  readonly url: string;
  readonly secret: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly maxAttempts: number;
  readonly backoffMs: number;
}

function valueProblems(value: string, path: string, env: Env): Problem[] {
  const problems: Problem[] = [];
  for (const [, variable = ""] of value.matchAll(VARIABLE)) {
    if (!env[variable]) problems.push({ path, message: `${variable} is not set`, missingEnv: variable });
  }
  // Otherwise "${MY-KEY}" would be sent as it stands.
  if (value.replaceAll(VARIABLE, "").includes("${")) {
    problems.push({ path, message: "Expected ${NAME} with letters, digits and underscores" });
  }
  // The value may hold a secret, so it is not shown.
  if (!isHeaderValue(fillVariables(value, env))) {
    problems.push({ path, message: "A header value can only have ASCII characters, and no line breaks" });
  }
  return problems;
}

function headerProblems(headers: Readonly<Record<string, string>>, path: string, env: Env): Problem[] {
  const seen = new Set<string>();
  return Object.entries(headers).flatMap(([name, value]) => {
    const at = `${path}.headers.${name}`;
    const lower = name.toLowerCase();
    const problems: Problem[] = [];
    if (REFUSED_HEADERS.has(lower)) problems.push({ path: at, message: "The delivery sets this header itself" });
    if (seen.has(lower)) problems.push({ path: at, message: "This header is given twice" });
    seen.add(lower);
    return [...problems, ...valueProblems(value, at, env)];
  });
}

/** Everything that the schema cannot see: entities that exist, names used once, variables that are set. */
export function checkHooks(config: WebhooksConfig, context: Pick<CheckContext, "entities" | "env">): Problem[] {
  const names = new Set<string>();
  return config.hooks.flatMap((hook, index) => {
    const path = `hooks.${index}`;
    const problems = headerProblems(hook.headers ?? {}, path, context.env);
    const unheard = whyUnheard(context.entities, hook.entity);
    if (unheard !== undefined) problems.push({ path: `${path}.entity`, message: unheard });
    if (hook.secret_env !== undefined && !context.env[hook.secret_env]) {
      const message = `${hook.secret_env} is not set`;
      problems.push({ path: `${path}.secret_env`, message, missingEnv: hook.secret_env });
    }
    if (hook.name !== undefined && names.has(hook.name)) {
      problems.push({ path: `${path}.name`, message: `Two hooks are named "${hook.name}"` });
    }
    if (hook.name !== undefined) names.add(hook.name);
    return problems;
  });
}

function fillVariables(text: string, env: Env): string {
  return text.replaceAll(VARIABLE, (_, variable: string) => env[variable] ?? "");
}

/** Resolves a checked configuration. */
export function resolveHooks(config: WebhooksConfig, env: Env): Hook[] {
  return config.hooks.map((hook, index) => ({
    name: hook.name ?? `hooks[${index}]`,
    named: hook.name !== undefined,
    entity: hook.entity,
    events: new Set(hook.events),
    url: hook.url,
    secret: hook.secret_env === undefined ? null : (env[hook.secret_env] ?? null),
    headers: Object.fromEntries(
      Object.entries(hook.headers ?? {}).map(([name, value]) => [name.toLowerCase(), fillVariables(value, env)]),
    ),
    maxAttempts: hook.retry.max_attempts,
    backoffMs: hook.retry.backoff_secs * 1_000,
  }));
}
