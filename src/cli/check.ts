// `pylon check [DIR]`: lists every problem of an application at once.

import type { Problem } from "../core/errors.ts";
import { SILENT_LOG } from "../core/log.ts";
import { PLUGINS } from "../plugins.ts";
import { countOf, describeApp, ownEntities } from "./banner.ts";
import type { RunCommand } from "./command.ts";
import { findProblems, type Findings } from "./find-problems.ts";
import { joinManifests, loadSource, toProblem } from "./open-app.ts";
import { createPaint, wantsColour } from "./paint.ts";
import { readAppDir } from "./read-options.ts";

interface Checked {
  readonly problems: readonly Problem[];
  readonly blueprint: Findings["blueprint"];
  readonly functions: readonly string[];
}

function toDocument({ problems, blueprint, functions }: Checked): Readonly<Record<string, unknown>> {
  return {
    ok: problems.length === 0,
    problems: problems.map(({ path, message }) => ({ path, message })),
    ...(blueprint
      ? {
          application: {
            name: blueprint.manifest.name,
            version: blueprint.manifest.version,
            entities: ownEntities(blueprint).map(({ name }) => name),
            functions,
            plugins: blueprint.chosen.map(({ plugin }) => plugin.name),
          },
        }
      : {}),
  };
}

export const check: RunCommand = async (args, platform) => {
  const dir = readAppDir(args, platform);
  const { source } = await loadSource({ platform, dir, log: SILENT_LOG });
  try {
    const findings =
      source.manifests.length > 0 ? findProblems(joinManifests(source), PLUGINS, platform.env) : undefined;
    const problems = [...source.problems.map(toProblem), ...(findings?.problems ?? [])];
    const checked: Checked = { problems, blueprint: findings?.blueprint, functions: [...source.functions.keys()] };
    const paint = createPaint(wantsColour(platform.stdout, platform.env));
    if (args.switches.has("json")) platform.stdout.write(`${JSON.stringify(toDocument(checked), null, 2)}\n`);
    else if (problems.length === 0 && checked.blueprint) {
      const { manifest } = checked.blueprint;
      const what = describeApp(checked.blueprint, checked.functions.length);
      platform.stdout.write(`${paint("green", "ok")} ${manifest.name}: ${what}\n`);
    } else {
      for (const { path, message } of problems) platform.stdout.write(`${paint("bold", path)}: ${message}\n`);
      platform.stdout.write(`${paint("red", countOf(problems.length, "problem", "problems"))}\n`);
    }
    return problems.length === 0 ? 0 : 1;
  } finally {
    source.dispose();
  }
};
