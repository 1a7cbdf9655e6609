// Of which entities' writes a plugin's hooks hear: the application's, and those that other plugins bring, wherever they stand
// in the manifest.

import type { Manifest } from "../manifest/manifest.ts";

interface Bringing {
  readonly name: string;
  readonly entities?: readonly { readonly def: { readonly name: string }; readonly unheard?: boolean }[];
}

/** Every entity by its name, and why no hook of the plugin hears of it; undefined when one does. */
export type HeardEntities = ReadonlyMap<string, string | undefined>;

export function heardEntities(manifest: Manifest, all: readonly Bringing[], plugin: Bringing): HeardEntities {
  const declared = new Set(manifest.entities.map(({ name }) => name));
  const brought = all.flatMap((other) =>
    (other.entities ?? []).map(({ def, unheard = false }): [string, string | undefined] => {
      if (declared.has(def.name)) return [def.name, undefined];
      if (other === plugin) return [def.name, `Plugin ${plugin.name} writes "${def.name}" itself`];
      return [def.name, unheard ? `Writes of "${def.name}" are told to nobody` : undefined];
    }),
  );
  return new Map([...[...declared].map((name): [string, undefined] => [name, undefined]), ...brought]);
}

/** Why `name` cannot be listened to; undefined when it can. */
export function whyUnheard(entities: HeardEntities, name: string): string | undefined {
  return entities.has(name) ? entities.get(name) : `There is no entity "${name}"`;
}
