// Stands for an export of `@pylonsync/sdk` that no plugin of the application gives: importing it is fine, using it says why
// it does not work.

import { sdkError } from "./sdk-errors.ts";

export function createUnavailableExport(name: string, givenBy: readonly string[]): object {
  const hint =
    givenBy.length === 0
      ? "No plugin of this version of Pylon gives it"
      : `Add the plugin ${givenBy.map((plugin) => `"${plugin}"`).join(" or ")} to the application`;
  const refuse = (): never => {
    throw sdkError("SDK_UNAVAILABLE", {
      message: `Cannot use "${name}": no plugin of this application gives it`,
      hint,
    });
  };
  return new Proxy(refuse, { get: () => refuse, apply: refuse });
}
