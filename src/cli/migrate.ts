// `pylon migrate [DIR]`: shows what the database needs in order to fit the application, what that costs, and does it.

import { SILENT_LOG } from "../core/log.ts";
import { applyMigration, type MigrationPlan, type MigrationStep, planMigration } from "../data/migration.ts";
import { PLUGINS } from "../plugins.ts";
import { type Blueprint, prepareStore, readBlueprint } from "../pylon.ts";
import type { Store } from "../store/store.ts";
import { countOf } from "./banner.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ExitCode, ParsedArguments, RunCommand } from "./command.ts";
import { assertLoaded, joinManifests, loadSource } from "./open-app.ts";
import { createPaint, type Paint, wantsColour } from "./paint.ts";
import { readAppDir, readDatabasePath } from "./read-options.ts";

/** @throws APP_INVALID, MANIFEST_INVALID, PLUGIN_INVALID, CONFIG_ENV_MISSING */
async function readApp(platform: CliPlatform, dir: string): Promise<Blueprint> {
  const { source } = await loadSource({ platform, dir, log: SILENT_LOG });
  try {
    assertLoaded(source);
    return readBlueprint(joinManifests(source), PLUGINS, platform.env);
  } finally {
    source.dispose();
  }
}

type Verdict = "ok" | "destroys" | "blocked";

const VERDICT_COLOURS = { ok: "green", destroys: "yellow", blocked: "red" } as const;
const VERDICT_WIDTH = 10;

/** A step that would destroy values destroys nothing where there are none. */
function judge({ blocked, destructive, rows }: MigrationStep): Verdict {
  if (blocked) return "blocked";
  return destructive && rows > 0 ? "destroys" : "ok";
}

function renderStep(step: MigrationStep, paint: Paint): string {
  const verdict = judge(step);
  // Padded before it is coloured: the colour's own characters have no width.
  const mark = paint(VERDICT_COLOURS[verdict], verdict.padEnd(VERDICT_WIDTH));
  const cost = step.rows === 0 ? "" : ` (${countOf(step.rows, "row", "rows")})`;
  return `${mark}${step.summary}${cost}\n`;
}

interface Outcome {
  readonly database: string;
  readonly plan: MigrationPlan;
  readonly applied: boolean;
}

function toDocument({ database, plan, applied }: Outcome): Readonly<Record<string, unknown>> {
  return {
    database,
    applied,
    steps: plan.steps.map(({ summary, entity, field, destructive, blocked, rows }) => ({
      summary,
      entity,
      field,
      destructive,
      blocked,
      rows,
    })),
  };
}

function conclude({ plan, applied }: Outcome): string {
  if (plan.steps.length === 0) return "The database fits the application";
  const count = countOf(plan.steps.length, "step", "steps");
  return applied ? `Applied ${count}` : `${count} pending`;
}

/** @throws MIGRATION_DESTRUCTIVE, MIGRATION_BLOCKED; nothing has changed then */
async function apply(store: Store, blueprint: Blueprint, plan: MigrationPlan, args: ParsedArguments): Promise<void> {
  await applyMigration(store, plan, { allowDestructive: args.switches.has("allow-destructive") });
  await prepareStore(store, blueprint);
}

export const migrate: RunCommand = async (args, platform): Promise<ExitCode> => {
  const dir = readAppDir(args, platform);
  const database = readDatabasePath(args, platform.env, { dir, cwd: platform.cwd });
  const blueprint = await readApp(platform, dir);
  const isPlanOnly = args.switches.has("plan");
  const isJson = args.switches.has("json");
  const paint = createPaint(wantsColour(platform.stdout, platform.env));
  const store = isPlanOnly ? await platform.openStoreIfPresent(database) : await platform.openStore(database);
  try {
    const plan = await planMigration(store, blueprint.manifest.entities);
    if (!isJson) for (const step of plan.steps) platform.stdout.write(renderStep(step, paint));
    if (!isPlanOnly) await apply(store, blueprint, plan, args);
    const outcome: Outcome = { database, plan, applied: !isPlanOnly && plan.steps.length > 0 };
    platform.stdout.write(isJson ? `${JSON.stringify(toDocument(outcome), null, 2)}\n` : `${conclude(outcome)}\n`);
    return plan.steps.some(({ blocked }) => blocked) ? 1 : 0;
  } finally {
    await store.close();
  }
};
