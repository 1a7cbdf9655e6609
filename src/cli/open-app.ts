// Loads an application from its folder and puts it together as an instance over a store. Either all of it stands, or nothing
// of it is left behind.

import type { Clock } from "../core/clock.ts";
import type { Env } from "../core/env.ts";
import { messageOf, type Problem } from "../core/errors.ts";
import type { Log } from "../core/log.ts";
import { createOutbound, type Mode } from "../instance/outbound.ts";
import { mergeManifests } from "../manifest/merge.ts";
import { createGuardedFetch } from "../net/guarded-fetch.ts";
import { dispatch, PLUGINS, webhooksDeclaring } from "../plugins.ts";
import { type Blueprint, readBlueprint } from "../instance/blueprint.ts";
import { assemblePylon, type Platform, type Pylon } from "../pylon.ts";
import type { LateExports } from "../sdk/late-exports.ts";
import { createSdkExports } from "../sdk/sdk-exports.ts";
import { createSdk } from "../sdk/sdk.ts";
import { signWebhook, verifyWebhook } from "../sdk/webhooks.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../version.ts";
import { cliError } from "./cli-errors.ts";
import type { AppProblem, AppSource, CliPlatform } from "./cli-platform.ts";

/** `app.ts:3:14`, as editors and terminals link it. */
export function toProblem({ file, line, column, message }: AppProblem): Problem {
  return { path: [file, line, column].filter((part) => part !== null).join(":"), message };
}

/** The manifests of an application and the plugins beside them, as one. Not parsed yet. */
export function joinManifests({ manifests, plugins }: AppSource): unknown {
  const values = manifests.map(({ value }) => value);
  if (plugins.length > 0) values.push({ manifest_version: 1, plugins });
  return values.reduce((joined, value) => mergeManifests(joined, value));
}

/** @throws APP_INVALID with everything that is wrong */
export function assertLoaded({ problems, manifests }: AppSource): void {
  if (problems.length === 0 && manifests.length > 0) return;
  // The loader may say the same of one place twice.
  const details = new Map(problems.map(toProblem).map((problem) => [`${problem.path} ${problem.message}`, problem]));
  throw cliError("APP_INVALID", { details: [...details.values()] });
}

export interface AppContext {
  readonly platform: CliPlatform;
  readonly dir: string;
  readonly log: Log;
}

/** A loaded application whose SDK can be bound once it is known what it asks for. */
export interface LoadedSource {
  readonly source: AppSource;
  readonly late: LateExports;
}

/** Loads without judging: what is wrong is in `source.problems`. */
export async function loadSource({ platform, dir, log }: AppContext): Promise<LoadedSource> {
  const late = createSdkExports();
  const source = await platform.loadApp({
    dir,
    sdk: createSdk({
      sdkExports: late.exports,
      webhooksExports: {
        declares: (definePlugin) => ({ webhooks: webhooksDeclaring(definePlugin), signWebhook, verifyWebhook }),
        acts: { dispatch },
      },
    }),
    onUncaught: (error) =>
      log.error("app.uncaught", {
        message: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      }),
  });
  return { source, late };
}

export interface OpenAppOptions extends AppContext {
  readonly runtime: Platform;
  readonly env: Env;
  readonly store: Store;
  readonly mode: Mode;
  readonly clock: Clock;
}

/** One version of the application, ready to answer. */
export interface OpenApp {
  readonly pylon: Pylon;
  readonly blueprint: Blueprint;
  readonly source: AppSource;
}

/** Gives the application's code what it could not have while it loaded. */
function bind(loaded: LoadedSource, pylon: Pylon, blueprint: Blueprint, options: OpenAppOptions): void {
  loaded.late.bind(pylon.sdk);
  const { guard, guardFunctions } = createOutbound(blueprint.chosen, options.mode);
  const { runtime, clock } = options;
  if (guardFunctions) loaded.source.bindFetch(createGuardedFetch({ guard, dialer: runtime.dialer, clock }));
}

/**
 * Loads and assembles. The database is brought up to date; nothing runs in the background yet.
 *
 * @throws APP_INVALID, and what `assemblePylon` throws.
 */
export async function openApp(options: OpenAppOptions): Promise<OpenApp> {
  const loaded = await loadSource(options);
  const { source } = loaded;
  try {
    assertLoaded(source);
    const blueprint = readBlueprint(joinManifests(source), PLUGINS, options.env);
    const pylon = await assemblePylon({
      blueprint,
      functions: source.functions,
      store: options.store,
      env: options.env,
      mode: options.mode,
      clock: options.clock,
      log: options.log,
      platform: options.runtime,
      version: VERSION,
    });
    bind(loaded, pylon, blueprint, options);
    return { pylon, blueprint, source };
  } catch (error) {
    source.dispose();
    throw error;
  }
}
