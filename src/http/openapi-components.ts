// The document's named schemas. A name is given out once; who asks for a taken one gets the next free.

import type { JsonObject } from "../core/json.ts";

/** Gives out names, each once. */
export type ClaimName = (wished: string) => string;

export function createNames(): ClaimName {
  const taken = new Set<string>();
  return (wished) => {
    let name = wished;
    for (let count = 2; taken.has(name); count++) name = `${wished}_${count}`;
    taken.add(name);
    return name;
  };
}

export interface Components {
  readonly claim: ClaimName;
  set(name: string, schema: JsonObject): void;
  /** By name, in the order they were set. */
  readonly schemas: Readonly<Record<string, JsonObject>>;
}

export function createComponents(): Components {
  const schemas: Record<string, JsonObject> = {};
  return {
    claim: createNames(),
    schemas,
    set(name, schema) {
      schemas[name] = schema;
    },
  };
}
