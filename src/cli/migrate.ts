// `pylon migrate [DIR]`: shows what the database needs in order to fit the application, what that costs, and does it.

import { existsSync } from "node:fs";
import { SILENT_LOG } from "../core/log.ts";
import { applyMigration, type MigrationStep, planMigration } from "../data/migration.ts";
import { planSchema } from "../manifest/schema-diff.ts";
import { PLUGINS } from "../plugins.ts";
import { type Blueprint, prepareStore, readBlueprint } from "../instance/blueprint.ts";
import type { Store } from "../store/store.ts";
import { countOf } from "./banner.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ExitCode, RunCommand } from "./command.ts";
import { assertLoaded, joinManifests, loadSource } from "./open-app.ts";
import type { Database } from "./database.ts";
import { createPaint, type Paint, wantsColour } from "./paint.ts";
import { readAppDir, readDatabase } from "./read-options.ts";

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

/** The document of `--json` as well. */
interface Outcome {
  readonly database: string;
  readonly applied: boolean;
  readonly steps: readonly MigrationStep[];
}

function conclude({ steps, applied }: Outcome): string {
  if (steps.length === 0) return "The database fits the application";
  const count = countOf(steps.length, "step", "steps");
  return applied ? `Applied ${count}` : `${count} pending`;
}

/** What an empty database needs. Showing a plan does not make the file. */
function planFromNothing({ manifest }: Blueprint): MigrationStep[] {
  return planSchema([], manifest.entities).flatMap((change): MigrationStep[] => {
    if (change.kind !== "step") return [];
    const { summary, entity, field = null, destructive } = change;
    return [{ summary, entity, field, destructive, rows: 0, blocked: false }];
  });
}

function openStore(platform: CliPlatform, database: Database): Promise<Store> {
  return platform.openStore(database, ({ reason, nextTryMs }) =>
    platform.stderr.write(`Waiting for ${database.name}: ${reason}. Trying again in ${nextTryMs / 1_000} s\n`),
  );
}

async function planOnly(
  platform: CliPlatform,
  database: Database,
  blueprint: Blueprint,
): Promise<readonly MigrationStep[]> {
  if (database.kind === "sqlite" && !existsSync(database.path)) return planFromNothing(blueprint);
  const store = await openStore(platform, database);
  try {
    return (await planMigration(store, blueprint.manifest.entities)).steps;
  } finally {
    await store.close();
  }
}

interface ApplyOptions {
  readonly allowDestructive: boolean;
  /** Called before anything is done. */
  readonly show: (steps: readonly MigrationStep[]) => void;
}

/** @throws MIGRATION_DESTRUCTIVE, MIGRATION_BLOCKED; nothing has changed then */
async function planAndApply(
  platform: CliPlatform,
  database: Database,
  blueprint: Blueprint,
  { allowDestructive, show }: ApplyOptions,
): Promise<readonly MigrationStep[]> {
  const store = await openStore(platform, database);
  try {
    const plan = await planMigration(store, blueprint.manifest.entities);
    show(plan.steps);
    await applyMigration(store, plan, { allowDestructive });
    // The tables that are no entities, too.
    await prepareStore(store, blueprint);
    return plan.steps;
  } finally {
    await store.close();
  }
}

export const migrate: RunCommand = async (args, platform): Promise<ExitCode> => {
  const dir = readAppDir(args, platform);
  const database = readDatabase(args, platform.env, { dir, cwd: platform.cwd });
  const blueprint = await readApp(platform, dir);
  const isPlanOnly = args.switches.has("plan");
  const isJson = args.switches.has("json");
  const paint = createPaint(wantsColour(platform.stdout, platform.env));
  const show = (steps: readonly MigrationStep[]): void => {
    if (!isJson) for (const step of steps) platform.stdout.write(renderStep(step, paint));
  };
  const steps = isPlanOnly
    ? await planOnly(platform, database, blueprint)
    : await planAndApply(platform, database, blueprint, {
        allowDestructive: args.switches.has("allow-destructive"),
        show,
      });
  if (isPlanOnly) show(steps);
  const outcome: Outcome = { database: database.name, steps, applied: !isPlanOnly && steps.length > 0 };
  platform.stdout.write(isJson ? `${JSON.stringify(outcome, null, 2)}\n` : `${conclude(outcome)}\n`);
  return steps.some(({ blocked }) => blocked) ? 1 : 0;
};
