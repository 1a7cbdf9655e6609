// What plugins give application code to call: declared when the code is loaded, bound when its instance stands. What no plugin
// of the application gives can be imported all the same; using it says why it does not work.

import { createLateExports, type LateExports } from "./late-exports.ts";
import { createUnavailableExport } from "./unavailable-export.ts";

export const SDK_EXPORTS = ["cache", "sendEmail", "isFeatureEnabled", "featureVariant"] as const;
export type SdkExportName = (typeof SDK_EXPORTS)[number];

/** The plugins that give each; none yet sends mail. */
const GIVEN_BY: Readonly<Record<SdkExportName, readonly string[]>> = {
  cache: ["cache", "cache_client"],
  sendEmail: [],
  isFeatureEnabled: ["feature_flags"],
  featureVariant: ["feature_flags"],
};

export function createSdkExports(): LateExports {
  const late = createLateExports(SDK_EXPORTS);
  const absent = Object.fromEntries(SDK_EXPORTS.map((name) => [name, createUnavailableExport(name, GIVEN_BY[name])]));
  return { exports: late.exports, bind: (values) => late.bind({ ...absent, ...values }) };
}
