// Chooses the plugins that a manifest names. Every unknown name and every bad configuration is found before anything
// starts, and all are reported at once with their path in the manifest.

import type { Env } from "../core/env.ts";
import { coreError, type Problem } from "../core/errors.ts";
import { readWithSchema } from "../manifest/schema-problems.ts";
import type { Manifest } from "../manifest/manifest.ts";
import { heardEntities } from "./heard-entities.ts";
import type { CheckContext, Plugin, PluginHost, PluginParts } from "./plugin.ts";
import { pluginError } from "./plugin-errors.ts";

/** A plugin with the configuration that the manifest gives it. */
export interface ChosenPlugin {
  readonly plugin: Plugin;
  readonly config: unknown;
}

export interface Choice {
  readonly chosen: readonly ChosenPlugin[];
  readonly problems: readonly Problem[];
}

/** How many letters have to be put in, left out or changed (Levenshtein). Names are short. */
function distance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = (above[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (above[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    above = current;
  }
  return above[b.length] ?? 0;
}

const MAX_MISSPELT_LETTERS = 2;

function nearest(name: string, known: readonly string[]): string {
  const plain = name.replaceAll("-", "_").toLowerCase();
  const match =
    known.find((candidate) => candidate.startsWith(plain) || plain.startsWith(candidate)) ??
    known.find((candidate) => distance(candidate, plain) <= MAX_MISSPELT_LETTERS);
  return match ? `. Did you mean "${match}"?` : `. Known: ${known.join(", ")}`;
}

function joinPath(prefix: string, path: string): string {
  return path === "" ? prefix : `${prefix}.${path}`;
}

function checkEntry(
  plugin: Plugin,
  raw: unknown,
  at: CheckContext & { readonly prefix: string },
): { readonly config: unknown; readonly problems: readonly Problem[] } {
  const read = readWithSchema(plugin.config, raw ?? {}, { at: [at.prefix], maxProblems: Number.POSITIVE_INFINITY });
  if (!read.ok) return { config: undefined, problems: read.problems };
  const found = plugin.check?.(read.value, at) ?? [];
  return {
    config: read.value,
    problems: found.map((problem) => ({ ...problem, path: problem.variable ?? joinPath(at.prefix, problem.path) })),
  };
}

/** Pairs the manifest's entries with `available` plugins, in the manifest's order. Never throws. */
export function choosePlugins(manifest: Manifest, available: readonly Plugin[], env: Env): Choice {
  const byName = new Map(available.map((plugin) => [plugin.name, plugin]));
  const named = manifest.plugins.flatMap((entry) => byName.get(entry.name) ?? []);
  const chosen: ChosenPlugin[] = [];
  const problems: Problem[] = [];
  for (const [index, entry] of manifest.plugins.entries()) {
    const plugin = byName.get(entry.name);
    if (!plugin) {
      const message = `There is no plugin "${entry.name}"${nearest(entry.name, [...byName.keys()])}`;
      problems.push({ path: `plugins.${index}.name`, message });
      continue;
    }
    const entities = heardEntities(manifest, named, plugin);
    const result = checkEntry(plugin, entry.config, { prefix: `plugins.${index}.config`, manifest, env, entities });
    problems.push(...result.problems);
    chosen.push({ plugin, config: result.config });
  }
  return { chosen, problems };
}

/** @throws PLUGIN_INVALID with every problem; CONFIG_ENV_MISSING when nothing but variables is missing. */
export function requireChoice(choice: Choice): readonly ChosenPlugin[] {
  const first = choice.problems[0];
  if (!first) return choice.chosen;
  if (choice.problems.every((problem) => problem.missingEnv !== undefined)) {
    const names = [...new Set(choice.problems.map((problem) => problem.missingEnv))].join(", ");
    throw coreError("CONFIG_ENV_MISSING", {
      message: `The environment variable is not set: ${names}`,
      hint: "Set it and start again; `pylon dev` also reads .env",
      details: choice.problems,
    });
  }
  throw pluginError("PLUGIN_INVALID", { message: `${first.path}: ${first.message}`, details: choice.problems });
}

/** Sets the plugins up in order. When one fails, those before it are closed again. */
export async function setUpPlugins(chosen: readonly ChosenPlugin[], host: PluginHost): Promise<PluginParts[]> {
  const parts: PluginParts[] = [];
  try {
    for (const { plugin, config } of chosen) parts.push(await plugin.setup(config, host));
    return parts;
  } catch (error) {
    await closePlugins(parts);
    throw error;
  }
}

/** Closes in reverse order; a failing close does not keep the others open. */
export async function closePlugins(parts: readonly PluginParts[]): Promise<void> {
  for (const part of parts.toReversed()) {
    try {
      await part.close?.();
    } catch {
      // The process is stopping, and the others still have files and connections to give back.
    }
  }
}
