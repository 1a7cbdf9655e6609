// Everything that is wrong with an application that can be known without a database: files, manifest, plugins. A problem in
// one part does not hide those of another, as far as the rest can still be read.

import type { Env } from "../core/env.ts";
import { isObject } from "../core/json.ts";
import { isPylonError, type Problem } from "../core/errors.ts";
import { type EntityDef, type Manifest, parseManifest, parseStoredEntities } from "../manifest/manifest.ts";
import { choosePlugins } from "../plugin/registry.ts";
import type { Plugin } from "../plugin/plugin.ts";
import { type Blueprint, readBlueprint } from "../instance/blueprint.ts";

export interface Findings {
  readonly problems: readonly Problem[];
  /** Absent when the manifest or a plugin does not fit. */
  readonly blueprint?: Blueprint;
}

/** An entity whose own definition does not fit still exists for a plugin that names it. */
function readEntity(input: unknown): EntityDef[] {
  try {
    return [...parseStoredEntities([input])];
  } catch {
    return isObject(input) && typeof input.name === "string" ? [{ name: input.name, fields: [], indexes: [] }] : [];
  }
}

/** What plugins can be judged by when the manifest around them does not fit; undefined when their list does not either. */
function salvage(input: unknown): Manifest | undefined {
  if (!isObject(input)) return undefined;
  try {
    const bare = parseManifest({ manifest_version: 1, plugins: input.plugins ?? [] });
    const entities = Array.isArray(input.entities) ? input.entities.flatMap(readEntity) : [];
    return { ...bare, entities };
  } catch {
    return undefined;
  }
}

function pluginProblems(input: unknown, available: readonly Plugin[], env: Env): readonly Problem[] {
  const manifest = salvage(input);
  return manifest ? choosePlugins(manifest, available, env).problems : [];
}

/** Judges a manifest that was not parsed yet. */
export function findProblems(input: unknown, available: readonly Plugin[], env: Env): Findings {
  try {
    return { problems: [], blueprint: readBlueprint(input, available, env) };
  } catch (error) {
    if (!isPylonError(error) || !error.details) throw error;
    const others = error.code === "MANIFEST_INVALID" ? pluginProblems(input, available, env) : [];
    const known = new Set(error.details.map(({ path, message }) => `${path}\n${message}`));
    return {
      problems: [...error.details, ...others.filter(({ path, message }) => !known.has(`${path}\n${message}`))],
    };
  }
}
