// `pylon init DIR`: makes an application that runs as it stands. Nothing that exists is written over.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { messageOf } from "../core/errors.ts";
import { createAdminToken } from "./admin-token.ts";
import { createAppFiles, type TemplateFile } from "./app-template.ts";
import { cliError } from "./cli-errors.ts";
import type { RunCommand } from "./command.ts";
import { createPaint, type Paint, wantsColour } from "./paint.ts";

const OWNER_ONLY = 0o600;

/** @throws FILES_EXIST with every file that is in the way */
function assertFree(dir: string, files: readonly TemplateFile[]): void {
  const taken = files.filter(({ path }) => existsSync(join(dir, path)));
  if (taken.length === 0) return;
  throw cliError("FILES_EXIST", {
    message: `"${dir}" already has ${taken.map(({ path }) => path).join(", ")}`,
    details: taken.map(({ path }) => ({ path, message: "Exists" })),
  });
}

/** @throws FILES_UNWRITABLE, FILES_EXIST when somebody else made a file meanwhile */
function writeFiles(dir: string, files: readonly TemplateFile[]): void {
  try {
    for (const { path, text, isSecret } of files) {
      const target = join(dir, path);
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text, { flag: "wx", ...(isSecret ? { mode: OWNER_ONLY } : {}) });
    }
  } catch (error) {
    throw cliError("FILES_UNWRITABLE", {
      message: `Cannot make the application in "${dir}": ${messageOf(error)}`,
      hint: "Check that the folder can be written",
      cause: error,
    });
  }
}

/** As a POSIX shell reads it back. */
export function quoteForShell(word: string): string {
  return /^[A-Za-z0-9_./@%+,:=-]+$/.test(word) && !word.startsWith("-") ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function renderDone(dir: string, shown: string, files: readonly TemplateFile[], paint: Paint): string {
  const target = shown === "." ? "" : ` ${quoteForShell(shown)}`;
  return [
    `Made an application in ${dir}`,
    ...files.map(({ path }) => `  ${path}`),
    "",
    "Next:",
    `  ${paint("bold", `pylon dev${target}`)}      serve it, with reload on change`,
    `  ${paint("bold", `pylon check${target}`)}    list what is wrong with it`,
    "",
  ].join("\n");
}

export const init: RunCommand = async ({ positional: [name = "."] }, { cwd, env, stdout }) => {
  const dir = resolve(cwd, name);
  const files = createAppFiles({ name: basename(dir) || "app", adminToken: createAdminToken() });
  assertFree(dir, files);
  writeFiles(dir, files);
  stdout.write(renderDone(dir, name, files, createPaint(wantsColour(stdout, env))));
  return 0;
};
