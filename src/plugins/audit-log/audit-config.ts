// The configuration of `audit_log`, and the keys that it names.

import { z } from "zod";
import type { Env } from "../../core/env.ts";
import type { Problem } from "../../core/errors.ts";
import { decodeBase64 } from "../../crypto/base64.ts";
import { ED25519_KEY_BYTES } from "../../crypto/ed25519.ts";
import { decodeHex } from "../../crypto/hex.ts";
import { whyUnheard } from "../../plugin/heard-entities.ts";
import type { CheckContext } from "../../plugin/plugin.ts";
import { AUDIT_LOG } from "./audit-tables.ts";

const variable = z.string().min(1).max(200);
const names = z.array(z.string().min(1)).max(1_000);

/** Seeds: `{entities, include_fields, exclude_fields, sign_entries, signing_key_env}`. */
export const auditConfig = z.strictObject({
  entities: names.min(1),
  include_fields: z.union([z.literal("*"), names]).default("*"),
  exclude_fields: names.default([]),
  sign_entries: z.boolean().default(false),
  signing_key_env: variable.optional(),
  /** Keys that have signed before, so that what they signed can still be checked. */
  previous_signing_key_envs: z.array(variable).max(50).default([]),
  /** 32 bytes as 64 hex digits or base64; without it the log's key comes from the signing key. */
  log_key_env: variable.optional(),
  /** What checkpoints are in the name of; `pylon.audit/<logId>` when absent. */
  origin: z
    .string()
    .regex(/^[^\s+]{1,200}$/, "Expected a name without white space and plus signs")
    .optional(),
  /** Seconds between checkpoints while entries are written. */
  checkpoint_secs: z.number().int().min(1).max(86_400).default(60),
  /** Every checkpoint is appended to this file. */
  checkpoint_file: z.string().min(1).max(4_096).optional(),
  /** Entries older than this are removed; what was removed is recorded. */
  retention_days: z.number().int().min(1).max(36_500).optional(),
  /** With a database whose writers work at the same time: the place in the tree is taken in the write's own transaction. */
  strict: z.boolean().default(false),
});

export type AuditConfig = z.infer<typeof auditConfig>;

function variables(config: AuditConfig): { readonly path: string; readonly name: string }[] {
  const named = (["signing_key_env", "log_key_env"] as const).flatMap((path): { path: string; name: string }[] => {
    const name = config[path];
    return name === undefined ? [] : [{ path, name }];
  });
  const previous = config.previous_signing_key_envs.map((name, index) => ({
    path: `previous_signing_key_envs.${index}`,
    name,
  }));
  return [...named, ...previous];
}

/** The 32 bytes that a variable spells in hex or base64. */
function parseLogKey(text: string): Uint8Array | undefined {
  const bytes = decodeHex(text) ?? decodeBase64(text);
  return bytes?.length === ED25519_KEY_BYTES ? bytes : undefined;
}

/** Everything that the schema cannot see. */
export function checkAuditConfig(
  config: AuditConfig,
  { entities, env }: Pick<CheckContext, "entities" | "env">,
): Problem[] {
  const problems: Problem[] = config.entities.flatMap((name, index) => {
    const message = name === AUDIT_LOG ? "The audit log does not record itself" : whyUnheard(entities, name);
    return message === undefined ? [] : [{ path: `entities.${index}`, message }];
  });
  if (config.sign_entries && config.signing_key_env === undefined) {
    problems.push({ path: "signing_key_env", message: "sign_entries needs the name of a variable with the key" });
  }
  for (const { path, name } of variables(config)) {
    if (!env[name]) problems.push({ path, message: `${name} is not set`, missingEnv: name });
  }
  const logKey = config.log_key_env === undefined ? undefined : env[config.log_key_env];
  if (logKey && !parseLogKey(logKey)) {
    problems.push({ path: "log_key_env", message: "Expected 32 bytes as 64 hex digits or base64 in the variable" });
  }
  if (config.checkpoint_file !== undefined && (config.log_key_env ?? config.signing_key_env) === undefined) {
    problems.push({ path: "checkpoint_file", message: "Checkpoints need signing_key_env or log_key_env" });
  }
  return problems;
}

/** What the configuration's variables hold. */
export interface AuditSecrets {
  /** What entries are signed with; null when they are not. */
  readonly signing: string | null;
  /** What the log's key is derived from when it has none of its own. */
  readonly current: string | null;
  /** Earlier signing keys. */
  readonly previous: readonly string[];
  readonly logKey: Uint8Array | null;
}

/** Reads the variables of a checked configuration; those that are missing are absent. */
export function readSecrets(config: AuditConfig, env: Env): AuditSecrets {
  const valueOf = (name: string | undefined): string | null => (name === undefined ? null : env[name] || null);
  const current = valueOf(config.signing_key_env);
  const logKey = valueOf(config.log_key_env);
  return {
    signing: config.sign_entries ? current : null,
    current,
    previous: config.previous_signing_key_envs.flatMap((name) => valueOf(name) ?? []),
    logKey: logKey === null ? null : (parseLogKey(logKey) ?? null),
  };
}
