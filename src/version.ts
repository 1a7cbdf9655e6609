// Which Pylon this is. The build writes both in; from source they come from package.json and say so.

import manifest from "../package.json" with { type: "json" };

declare const PYLON_BUILD_VERSION: string;
declare const PYLON_BUILD_COMMIT: string;

export const VERSION: string = typeof PYLON_BUILD_VERSION === "string" ? PYLON_BUILD_VERSION : manifest.version;
/** The commit it was built from; `source` when it runs from source. */
export const COMMIT: string = typeof PYLON_BUILD_COMMIT === "string" ? PYLON_BUILD_COMMIT : "source";
