// The entities of a running application, compiled once: their columns, their validation and their rules.

import type { EntityDef, PolicyDef } from "../manifest/manifest.ts";
import { toTableSpec } from "../manifest/tables.ts";
import type { TableSpec } from "../store/store.ts";
import { compileAccessRules, type AccessRules } from "./access-rules.ts";
import { dataError } from "./data-errors.ts";
import { compileEntity, type EntityCodec } from "./entity-input.ts";

export interface EntityModel {
  readonly def: EntityDef;
  readonly table: TableSpec;
  readonly codec: EntityCodec;
  readonly rules: AccessRules;
  /** Only Pylon's own code writes it. */
  readonly readOnly: boolean;
}

export interface Model {
  readonly entities: readonly EntityModel[];
  /** @throws ENTITY_NOT_FOUND */
  entity(name: string): EntityModel;
}

export interface ModelInput {
  readonly entities: readonly EntityDef[];
  readonly policies: readonly PolicyDef[];
  /** Names of entities that only Pylon writes. */
  readonly readOnly: ReadonlySet<string>;
}

export function createModel(input: ModelInput): Model {
  const byName = new Map<string, EntityModel>();
  for (const def of input.entities) {
    byName.set(def.name, {
      def,
      table: toTableSpec(def),
      codec: compileEntity(def),
      rules: compileAccessRules(
        def,
        input.policies.filter((policy) => policy.entity === def.name),
      ),
      readOnly: input.readOnly.has(def.name),
    });
  }
  return {
    entities: [...byName.values()],
    entity(name) {
      const model = byName.get(name);
      if (!model) throw dataError("ENTITY_NOT_FOUND", { message: `There is no entity "${name}"` });
      return model;
    },
  };
}
