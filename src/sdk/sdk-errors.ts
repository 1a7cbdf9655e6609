// The codes that the modules for application code raise.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const sdkError: ErrorFactory<"SDK_NOT_READY" | "SDK_LOADED" | "SDK_UNAVAILABLE"> = defineErrors({
  SDK_NOT_READY: {
    status: 500,
    message: "Cannot use this while the application loads",
    hint: "Call it from a function, or from anything that runs once the instance has started",
  },
  SDK_UNAVAILABLE: {
    status: 500,
    message: "No plugin of this application gives this",
    hint: "Configure the plugin that gives it; the documentation has a page for each",
  },
  SDK_LOADED: {
    status: 500,
    message: "Cannot declare this once the application is loaded",
    hint: "Call it at the top level of app.ts or of a file that it imports",
  },
});
