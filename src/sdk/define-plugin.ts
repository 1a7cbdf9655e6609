// `definePlugin`: turns a plugin on from TypeScript. An entry counts wherever it was made, so it need not be exported; one
// that is also listed in `app({ plugins })` counts once.

import type { ActionContext } from "../functions/contexts.ts";
import type { Loose } from "../functions/validators.ts";
import { isObject } from "../core/json.ts";
import type { PluginEntry } from "../manifest/merge.ts";
import { sdkError } from "./sdk-errors.ts";

/** Configurations that hold functions, so that their parameters are inferred. Others are any object. */
export interface PluginConfigs {
  readonly stripe: {
    readonly on?: Readonly<Record<string, (ctx: ActionContext, event: Loose) => unknown>>;
    readonly [key: string]: unknown;
  };
}

type ConfigOf<Name> = Name extends keyof PluginConfigs ? PluginConfigs[Name] : Readonly<Record<string, unknown>>;

/** Turns plugin `name` on and answers its entry. */
export type DefinePlugin = <const Name extends string>(name: Name, config: ConfigOf<Name>) => PluginEntry;

/** The plugins that one application defines while it loads. */
export interface PluginCollector {
  readonly definePlugin: DefinePlugin;
  /** The entries that `listed` does not hold already, in the order they were defined. */
  missingFrom(listed: unknown): PluginEntry[];
  /** From now on `definePlugin` throws SDK_LOADED: nobody would hear of the entry. */
  close(): void;
}

export function createPluginCollector(): PluginCollector {
  const entries: PluginEntry[] = [];
  let closed = false;
  return {
    definePlugin(name, config) {
      if (closed)
        throw sdkError("SDK_LOADED", { message: `Cannot define plugin "${name}" once the application is loaded` });
      if (typeof name !== "string" || !isObject(config)) throw new TypeError("Expected definePlugin(name, config)");
      const entry: PluginEntry = { name, config };
      entries.push(entry);
      return entry;
    },
    missingFrom(listed) {
      const known = new Set<unknown>(Array.isArray(listed) ? listed : []);
      return entries.filter((entry) => !known.has(entry));
    },
    close() {
      closed = true;
    },
  };
}
