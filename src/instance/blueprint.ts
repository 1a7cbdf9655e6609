// The blueprint of an instance: a manifest with what its plugins bring, checked as a whole before anything is touched, and the
// database that fits it.

import { AUTH_TABLES } from "../auth/auth-tables.ts";
import type { Env } from "../core/env.ts";
import { applyMigration, createSystemTables, planMigration } from "../data/migration.ts";
import { createModel, type Model } from "../data/model.ts";
import { idempotencyTable } from "../http/idempotency.ts";
import { checkManifest, manifestInvalid, parseManifest, type Manifest } from "../manifest/manifest.ts";
import type { Plugin } from "../plugin/plugin.ts";
import { choosePlugins, requireChoice, type ChosenPlugin } from "../plugin/registry.ts";
import type { Store } from "../store/store.ts";

/** A manifest with what its plugins bring, checked as a whole. */
export interface Blueprint {
  readonly manifest: Manifest;
  readonly chosen: readonly ChosenPlugin[];
  readonly model: Model;
}

/** The application's entities and policies and those of its plugins; what it declares itself of a plugin's counts first. */
function withBrought(own: Manifest, chosen: readonly ChosenPlugin[]): Pick<Manifest, "entities" | "policies"> {
  const entities = chosen.flatMap(({ plugin }) => plugin.entities ?? []);
  const declarable = new Set(entities.flatMap(({ def, declarable }) => (declarable ? [def.name] : [])));
  const isOwn = (list: readonly string[], name: string): boolean => declarable.has(name) && list.includes(name);
  const declared = own.entities.map(({ name }) => name);
  const governed = own.policies.map(({ entity }) => entity);
  const policies = chosen.flatMap(({ plugin }) => plugin.policies ?? []);
  return {
    entities: [...own.entities, ...entities.flatMap(({ def }) => (isOwn(declared, def.name) ? [] : [def]))],
    policies: [...own.policies, ...policies.filter(({ entity }) => !isOwn(governed, entity))],
  };
}

/**
 * Reads a manifest and its plugins' configurations. Touches nothing.
 *
 * @throws MANIFEST_INVALID, PLUGIN_INVALID, CONFIG_ENV_MISSING with every problem.
 */
export function readBlueprint(input: unknown, available: readonly Plugin[], env: Env): Blueprint {
  const names = new Set(available.flatMap((plugin) => plugin.entities?.map(({ def }) => def.name) ?? []));
  const own = parseManifest(input, { knownEntities: names });
  const chosen = requireChoice(choosePlugins(own, available, env));
  const brought = chosen.flatMap(({ plugin }) => plugin.entities ?? []);
  const manifest: Manifest = { ...own, ...withBrought(own, chosen) };
  const problems = checkManifest(manifest);
  if (problems.length > 0) throw manifestInvalid(problems);
  const readOnly = new Set(brought.flatMap(({ def, readOnly }) => (readOnly ? [def.name] : [])));
  return {
    manifest,
    chosen,
    model: createModel({ entities: manifest.entities, policies: manifest.policies, readOnly }),
  };
}

/** Brings the database to the blueprint. @throws MIGRATION_DESTRUCTIVE, MIGRATION_BLOCKED */
export async function prepareStore(store: Store, blueprint: Blueprint): Promise<void> {
  const pluginTables = blueprint.chosen.flatMap(({ plugin }) => plugin.tables ?? []);
  await createSystemTables(store, [...AUTH_TABLES, idempotencyTable, ...pluginTables]);
  const plan = await planMigration(store, blueprint.manifest.entities);
  await applyMigration(store, plan, { allowDestructive: false });
}

/** Entities whose writes the audit log records in any case. */
export function auditedEntities({ chosen }: Blueprint): string[] {
  const brought = chosen.flatMap(({ plugin }) => plugin.entities ?? []);
  return brought.flatMap(({ def, audited }) => (audited ? [def.name] : []));
}
