// `webhooks(options)`: how an application declares webhooks to its customers while it loads. What it gives is plain data; the
// plugin is turned on by whoever reads the application.

import { coreError } from "../../core/errors.ts";
import { readWithSchema } from "../../manifest/schema-problems.ts";
import type { EntityDef, PolicyDef } from "../../manifest/manifest.ts";
import type { PluginEntry } from "../../manifest/merge.ts";
import { webhookEntities, webhookPolicies } from "./webhook-entities.ts";
import { type CustomerWebhooksConfig, DECLARED, webhooksOptions, type WebhooksOptions } from "./webhooks-config.ts";

export const CUSTOMER_WEBHOOKS = "customer_webhooks";

export interface DeclaredWebhooks {
  /** For `dispatch`. */
  readonly config: CustomerWebhooksConfig;
  /** For `app({ entities, policies })`. */
  readonly manifest: { readonly entities: readonly EntityDef[]; readonly policies: readonly PolicyDef[] };
}

/** Declarations by the entities that they gave: an application that spreads them into its own turns the plugin on. */
const declaredBy = new WeakMap<EntityDef, PluginEntry>();

/** What turns the plugin on as the code declares it. */
export function entryOf(config: CustomerWebhooksConfig): PluginEntry {
  return { name: CUSTOMER_WEBHOOKS, config: { [DECLARED]: config } };
}

/** @throws CONFIG_INVALID with every problem. */
export function declareWebhooks(options: WebhooksOptions = {}): DeclaredWebhooks {
  const read = readWithSchema(webhooksOptions, options);
  if (!read.ok) {
    const [first] = read.problems;
    throw coreError("CONFIG_INVALID", {
      message: `webhooks(): ${first?.path}: ${first?.message}`,
      details: read.problems,
    });
  }
  const config = read.value;
  const entities = webhookEntities.map((definition) => ({ ...definition }));
  for (const definition of entities) declaredBy.set(definition, entryOf(config));
  return { config, manifest: { entities, policies: webhookPolicies } };
}

/** The plugin entry behind entities that `webhooks()` gave; undefined when there are none among them. */
export function entryBehind(entities: readonly unknown[]): PluginEntry | undefined {
  for (const definition of entities) {
    const entry =
      typeof definition === "object" && definition !== null ? declaredBy.get(definition as EntityDef) : undefined;
    if (entry) return entry;
  }
  return undefined;
}
