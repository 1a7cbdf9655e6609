// The three modules that application code imports, assembled for one instance. What only declares (`app`, `query`, `v`) is
// the same everywhere; what acts (`cache`, `sendEmail`, `dispatch`) is contributed by the instance and reaches no other.

import { app, buildManifest, entity, field, policy } from "../manifest/dsl.ts";
import type { PluginEntry } from "../manifest/merge.ts";
import { createPluginCollector, type DefinePlugin } from "./define-plugin.ts";
import * as functions from "./functions.ts";

export const SDK_MODULE_NAMES = ["@pylonsync/sdk", "@pylonsync/functions", "@pylonsync/webhooks"] as const;
export type SdkModuleName = (typeof SDK_MODULE_NAMES)[number];

type Exports = Readonly<Record<string, unknown>>;

export interface SdkModule {
  /** Declares only; runs wherever it is called. */
  readonly declares: Exports;
  /** Acts on the instance: a loader runs it outside of the application's own context, so that it outlives a reload. */
  readonly acts: Exports;
}

/** What the assembly contributes. */
export interface SdkHost {
  /** Of `@pylonsync/sdk`: what plugins give application code to call. */
  readonly sdkExports?: Exports;
  /** Of `@pylonsync/webhooks`. */
  readonly webhooksExports?: {
    /** A function when what is declared turns a plugin on. */
    readonly declares?: Exports | ((definePlugin: DefinePlugin) => Exports);
    readonly acts?: Exports;
  };
}

/** The modules of one load of one application. */
export interface Sdk {
  readonly modules: Readonly<Record<SdkModuleName, SdkModule>>;
  /** The entries of `definePlugin` that are not in `listed`, the `plugins` of the application's own manifest. */
  pluginsMissingFrom(listed: unknown): PluginEntry[];
  /** The application is loaded: `definePlugin` throws from now on. */
  close(): void;
}

/** Assembles the modules; make new ones for every load. */
export function createSdk(host: SdkHost): Sdk {
  const collector = createPluginCollector();
  const { declares = {}, acts = {} } = host.webhooksExports ?? {};
  const webhooksDeclares = typeof declares === "function" ? declares(collector.definePlugin) : declares;
  return {
    modules: {
      "@pylonsync/sdk": {
        declares: { app, buildManifest, entity, field, policy, definePlugin: collector.definePlugin },
        acts: { ...host.sdkExports },
      },
      "@pylonsync/functions": { declares: { ...functions }, acts: {} },
      "@pylonsync/webhooks": { declares: { ...webhooksDeclares }, acts: { ...acts } },
    },
    pluginsMissingFrom: (listed) => collector.missingFrom(listed),
    close: () => collector.close(),
  };
}
