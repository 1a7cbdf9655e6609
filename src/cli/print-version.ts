// `pylon version`

import { COMMIT, VERSION } from "../version.ts";
import type { RunCommand } from "./command.ts";

export const printVersion: RunCommand = async ({ switches }, { stdout }) => {
  const text = switches.has("json") ? JSON.stringify({ version: VERSION, commit: COMMIT }) : `${VERSION} (${COMMIT})`;
  stdout.write(`${text}\n`);
  return 0;
};
