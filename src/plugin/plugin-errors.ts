// The codes that choosing and configuring plugins raises.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const pluginError: ErrorFactory<"PLUGIN_INVALID"> = defineErrors({
  PLUGIN_INVALID: { status: 500, message: "The plugins' configuration does not fit" },
});
