// From the words of the command line to an exit code. Whatever goes wrong is said once, on standard error.

import { isPylonError } from "../core/errors.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ExitCode, RunCommand } from "./command.ts";
import { commandsBelow } from "./commands.ts";
import { requireCommand } from "./help.ts";
import { createPaint, wantsColour } from "./paint.ts";
import { parseArguments } from "./parse-arguments.ts";
import { errorDocument, renderError } from "./render-error.ts";
import { renderCommandHelp } from "./render-help.ts";

/** A command that is not run is not loaded. */
const LOADERS: Readonly<Record<string, () => Promise<RunCommand>>> = {
  init: async () => (await import("./init.ts")).init,
  dev: async () => (await import("./dev.ts")).dev,
  serve: async () => (await import("./serve.ts")).serve,
  check: async () => (await import("./check.ts")).check,
  migrate: async () => (await import("./migrate.ts")).migrate,
  backup: async () => (await import("./backup.ts")).backup,
  "audit verify": async () => (await import("./audit-verify.ts")).auditVerify,
  "audit export": async () => (await import("./audit-export.ts")).auditExport,
  "audit checkpoint": async () => (await import("./audit-checkpoint.ts")).auditCheckpoint,
  "audit key": async () => (await import("./audit-key.ts")).auditKey,
  "audit redact": async () => (await import("./audit-redact.ts")).auditRedact,
  version: async () => (await import("./print-version.ts")).printVersion,
  help: async () => (await import("./help.ts")).help,
};

/** What stands for a command of another name. */
const SHORTHANDS: Readonly<Record<string, string>> = { "--help": "help", "-h": "help", "--version": "version" };

function asksForHelp(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return words.slice(0, end < 0 ? undefined : end).some((word) => word === "--help" || word === "-h");
}

/** A command's name may be of two words. */
function splitCommand(words: readonly string[]): { readonly name: string; readonly rest: readonly string[] } {
  const [first = "help", second, ...rest] = words;
  const pair = `${first} ${second}`;
  if (second !== undefined && Object.hasOwn(LOADERS, pair)) return { name: pair, rest };
  // A first word by itself, such as `audit`, asks for what there is of it.
  const isAsking = words.length === 1 || asksForHelp(words.slice(1));
  if (isAsking && commandsBelow(first).length > 0) return { name: "help", rest: [first] };
  return { name: first, rest: words.slice(1) };
}

async function runCommand(words: readonly string[], platform: CliPlatform): Promise<ExitCode> {
  const { name: first, rest } = splitCommand(words);
  const name = SHORTHANDS[first] ?? first;
  const command = requireCommand(name, words);
  if (asksForHelp(rest)) {
    platform.stdout.write(renderCommandHelp(command));
    return 0;
  }
  const args = parseArguments(command, rest);
  const run = await LOADERS[command.name]?.();
  if (!run) throw new TypeError(`Nothing runs "${command.name}"`);
  return run(args, platform);
}

/** Runs a command line, the program's own name not in it. Answers the exit code: 0, 1, or 2 for wrong usage. */
export async function runCli(words: readonly string[], platform: CliPlatform): Promise<number> {
  try {
    return await runCommand(words, platform);
  } catch (error) {
    const isUsage = isPylonError(error, "USAGE");
    if (words.includes("--json") && !isUsage) {
      platform.stdout.write(`${JSON.stringify(errorDocument(error), null, 2)}\n`);
    } else {
      platform.stderr.write(renderError(error, createPaint(wantsColour(platform.stderr, platform.env))));
    }
    return isUsage ? 2 : 1;
  }
}
