// Joins what app.ts and pylon.manifest.json declare, before either is validated: nothing that is wrong in one of them is
// lost on the way, so that parsing the result lists it. Values are kept by reference, so handlers in plugin configurations survive.

import { isObject } from "../core/json.ts";

/** What turns a plugin on. `config` may hold functions. */
export interface PluginEntry {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

export const DEFAULT_APP_NAME = "app";
export const DEFAULT_APP_VERSION = "0.0.0";

/** Deeper than this the later value replaces the earlier one; also what ends a configuration that contains itself. */
const MAX_MERGE_DEPTH = 32;

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (!isObject(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function mergeValues(earlier: unknown, later: unknown, depth: number): unknown {
  if (later === undefined) return earlier;
  if (Array.isArray(earlier) && Array.isArray(later)) return [...(earlier as unknown[]), ...(later as unknown[])];
  if (depth > 0 && isPlainObject(earlier) && isPlainObject(later)) return mergeObjects(earlier, later, depth);
  return later;
}

/** `Object.fromEntries` defines properties, so a `__proto__` key of parsed JSON stays a key. */
function mergeObjects(
  earlier: Record<string, unknown>,
  later: Record<string, unknown>,
  depth: number,
): Record<string, unknown> {
  const keys = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  const ownOf = (owner: Record<string, unknown>, key: string): unknown =>
    Object.hasOwn(owner, key) ? owner[key] : undefined;
  return Object.fromEntries(
    [...keys].map((key) => [key, mergeValues(ownOf(earlier, key), ownOf(later, key), depth - 1)]),
  );
}

/** One configuration out of two: objects deeply, arrays one after the other, anything else the later. */
export function mergeConfigs(
  earlier: Readonly<Record<string, unknown>>,
  later: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return mergeObjects(earlier, later, MAX_MERGE_DEPTH);
}

/** Entries of one name become one, at the place of the first. */
export function mergePlugins(entries: readonly PluginEntry[]): PluginEntry[] {
  const merged = new Map<string, PluginEntry>();
  for (const entry of entries) {
    const first = merged.get(entry.name);
    merged.set(entry.name, first ? { ...first, config: mergeConfigs(first.config, entry.config) } : entry);
  }
  return [...merged.values()];
}

function isPluginEntry(value: unknown): value is PluginEntry {
  return isObject(value) && typeof value.name === "string" && isObject(value.config) && Object.keys(value).length === 2;
}

/** Entries that do not fit are kept beside the merged ones, for parsing to refuse. */
function mergePluginLists(entries: readonly unknown[]): unknown[] {
  return [...mergePlugins(entries.filter(isPluginEntry)), ...entries.filter((entry) => !isPluginEntry(entry))];
}

function concatenate(a: unknown, b: unknown): unknown {
  if (a === undefined) return b;
  if (b === undefined) return a;
  if (!Array.isArray(a)) return a;
  return Array.isArray(b) ? [...(a as unknown[]), ...(b as unknown[])] : b;
}

/** The later wins, unless it is only the default that `app()` fills in. */
function chosen(a: unknown, b: unknown, fallback: string): unknown {
  return b === undefined || (b === fallback && a !== undefined) ? a : b;
}

/**
 * Joins two manifests that were not parsed yet: entities and policies one after the other, plugins by name, any other key
 * of the later over the earlier. A side that is not an object, or a list that is not one, is handed on as it is.
 */
export function mergeManifests(a: unknown, b: unknown): unknown {
  if (!isObject(a)) return a;
  if (!isObject(b)) return b;
  const plugins = concatenate(a.plugins, b.plugins);
  const merged: Record<string, unknown> = {
    ...a,
    ...b,
    manifest_version: a.manifest_version === 1 ? (b.manifest_version ?? 1) : a.manifest_version,
    name: chosen(a.name, b.name, DEFAULT_APP_NAME),
    version: chosen(a.version, b.version, DEFAULT_APP_VERSION),
    entities: concatenate(a.entities, b.entities),
    policies: concatenate(a.policies, b.policies),
    plugins: Array.isArray(plugins) ? mergePluginLists(plugins) : plugins,
  };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined));
}
