// Loads an application from its folder: `app.ts`, `pylon.manifest.json` and `functions/`, also from inside a compiled
// executable. Each load is a module graph of its own, so a reload sees every changed file, and what one instance imports of
// `@pylonsync/*` belongs to that instance alone.

import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { basename, extname, join, resolve } from "node:path";
import { type FunctionDefinition, type FunctionDefinitions, isFunctionDefinition } from "../functions/define.ts";
import { functionError } from "../functions/function-errors.ts";
import type { PluginEntry } from "../manifest/merge.ts";
import { SDK_MODULE_NAMES, type Sdk, type SdkModuleName } from "../sdk/sdk.ts";
import { isObject } from "../core/json.ts";
import { type AppFetch, bindFetch, createFetchGlobals } from "./app-fetch-bun.ts";
import { createGraphBorder, type GraphBorder, shield, wrapFunctions } from "./graph-border-bun.ts";
import { dedupeProblems, type LoadProblem, type ProblemSource, toLoadProblems } from "./load-problems-bun.ts";
import { listAppFolders } from "./app-folders.ts";

export interface LoadAppOptions {
  /** The application's folder. */
  readonly dir: string;
  /** Made for this load alone. */
  readonly sdk: Sdk;
  /** Hears what application code throws where nobody waits for it. */
  readonly onUncaught: (error: unknown) => void;
  /** Milliseconds that the files together may take to load. @default 30000 */
  readonly timeoutMs?: number;
}

/** A manifest that was found, not parsed yet. */
export interface FoundManifest {
  /** Relative to the application's folder. */
  readonly file: string;
  readonly value: unknown;
}

export interface LoadedApp {
  /** `app.ts` before `pylon.manifest.json`. */
  readonly manifests: readonly FoundManifest[];
  /** Made by `definePlugin` and listed in no manifest. */
  readonly plugins: readonly PluginEntry[];
  /** By file name. */
  readonly functions: FunctionDefinitions;
  /** Everything that is wrong, of all files. With any, the application must not be started. */
  readonly problems: readonly LoadProblem[];
  /** From now on the application and its packages have this as `fetch`; until then the platform's. */
  bindFetch(fetch: AppFetch): void;
  /** Resolves when none of its functions is running. */
  idle(): Promise<void>;
  /** Ends everything that its code started. Functions that still run fail with FN_ABORTED. */
  dispose(): void;
}

const APP_FILES = ["app.ts", "app.mts", "app.js", "app.mjs"];
const MANIFEST_FILE = "pylon.manifest.json";
const SCRIPT_EXTENSIONS: ReadonlySet<string> = new Set([".ts", ".mts", ".js", ".mjs"]);
const FUNCTION_NAME = /^[A-Za-z][A-Za-z0-9_-]*$/;
/** Not functions: declarations and tests that live beside them. */
const BESIDE_FUNCTIONS = /(?:\.d|\.test|\.spec)\.[a-z]+$/;
const DEFAULT_TIMEOUT_MS = 30_000;

const modulesOf = new WeakMap<Bun.ModuleGraph, ReadonlyMap<SdkModuleName, Record<string, unknown>>>();
let isRegistered = false;

/**
 * Serves `@pylonsync/*` by name, ahead of packages of that name in `node_modules`. Bun asks a factory once per graph for
 * `import` and once for `require`, and tells which graph is asking only while that graph is current: every import goes
 * through `GraphBorder.run`. (`onResolve` of a plugin never fires at run time.)
 */
function registerModules(): void {
  if (isRegistered) return;
  isRegistered = true;
  Bun.plugin({
    name: "pylon-sdk",
    setup(build) {
      for (const name of SDK_MODULE_NAMES) {
        build.module(name, () => {
          const graph = Bun.ModuleGraph.current;
          const exports = graph && modulesOf.get(graph)?.get(name);
          if (!exports) throw new Error(`Cannot import "${name}" outside of an application that Pylon runs`);
          return { loader: "object", exports };
        });
      }
    },
  });
}

function createModules(sdk: Sdk): ReadonlyMap<SdkModuleName, Record<string, unknown>> {
  const assemble = (name: SdkModuleName): Record<string, unknown> => {
    const { declares, acts } = sdk.modules[name];
    const shielded = Object.entries(acts).map(([key, value]): [string, unknown] => [key, shield(value)]);
    return { ...declares, ...Object.fromEntries(shielded) };
  };
  return new Map(SDK_MODULE_NAMES.map((name) => [name, assemble(name)]));
}

/**
 * Makes Bun's resolver forget what it knows of the folders: it keeps directory listings for the life of the process and
 * would look for a file that was renamed from `.ts` to `.js` under its old name. There is no call for that but this one.
 */
function refreshResolver(dir: string): void {
  for (const folder of listAppFolders(dir)) {
    try {
      new Bun.FileSystemRouter({ style: "nextjs", dir: folder, fileExtensions: [".none"] }).reload();
    } catch {
      // A folder that was removed meanwhile has nothing to forget.
    }
  }
}

interface Loading {
  readonly dir: string;
  readonly graph: Bun.ModuleGraph;
  readonly border: GraphBorder;
  readonly problems: LoadProblem[];
  readonly timedOut: Promise<never>;
}

function report(loading: Loading, file: string, message: string): void {
  loading.problems.push({ file, line: null, column: null, message });
}

/** Imports one file; undefined, with its problems listed, when that fails. */
async function importFile(loading: Loading, file: string): Promise<{ readonly default?: unknown } | undefined> {
  const entry = join(loading.dir, file);
  const source: ProblemSource = { dir: loading.dir, entry, virtual: new Set(SDK_MODULE_NAMES) };
  try {
    const importing = loading.border.run(() => loading.graph.import(entry));
    return (await Promise.race([importing, loading.timedOut])) as { readonly default?: unknown };
  } catch (error) {
    loading.problems.push(...toLoadProblems(error, source));
    return undefined;
  }
}

function listFiles(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => entry.name)
      .toSorted();
  } catch {
    return [];
  }
}

async function loadAppFile(loading: Loading, files: ReadonlySet<string>): Promise<FoundManifest[]> {
  const [file, ...others] = APP_FILES.filter((name) => files.has(name));
  if (file === undefined) return [];
  for (const other of others) report(loading, other, `There is also ${file}: keep one of them`);
  const loaded = await importFile(loading, file);
  if (!loaded) return [];
  if (isObject(loaded.default)) return [{ file, value: loaded.default }];
  report(loading, file, "Expected a default export: export default app({ … })");
  return [];
}

function loadManifestFile(loading: Loading, files: ReadonlySet<string>): FoundManifest[] {
  if (!files.has(MANIFEST_FILE)) return [];
  try {
    return [{ file: MANIFEST_FILE, value: JSON.parse(readFileSync(join(loading.dir, MANIFEST_FILE), "utf8")) }];
  } catch (error) {
    report(loading, MANIFEST_FILE, `Cannot read it as JSON: ${error instanceof Error ? error.message : "unknown"}`);
    return [];
  }
}

/** Names by file; files that cannot be functions are listed as problems. */
function planFunctions(loading: Loading): Map<string, string> {
  const planned = new Map<string, string>();
  for (const file of listFiles(join(loading.dir, "functions"))) {
    if (!SCRIPT_EXTENSIONS.has(extname(file)) || BESIDE_FUNCTIONS.test(file) || file.startsWith(".")) continue;
    const name = basename(file, extname(file));
    const path = `functions/${file}`;
    const other = planned.get(name);
    if (!FUNCTION_NAME.test(name)) {
      report(
        loading,
        path,
        `Cannot name a function "${name}": use letters, digits, _ and -; move other files to a subfolder`,
      );
    } else if (other === undefined) {
      planned.set(name, path);
    } else {
      report(loading, path, `There is also ${other}: both are function "${name}"`);
    }
  }
  return planned;
}

/** The host calls the handler: it enters the graph, and what it is given leads out again. */
function enterOnCall(border: GraphBorder, definition: FunctionDefinition): FunctionDefinition {
  return {
    ...definition,
    handler: (ctx, args) => border.run(() => definition.handler(shield(ctx), args)),
  };
}

async function loadFunctions(loading: Loading): Promise<Map<string, FunctionDefinition>> {
  const functions = new Map<string, FunctionDefinition>();
  for (const [name, file] of planFunctions(loading)) {
    const loaded = await importFile(loading, file);
    if (!loaded) continue;
    if (isFunctionDefinition(loaded.default)) functions.set(name, enterOnCall(loading.border, loaded.default));
    else report(loading, file, "Expected a default export: export default query|mutation|action({ … })");
  }
  return functions;
}

function pluginsOf({ value }: FoundManifest): readonly unknown[] {
  return isObject(value) && Array.isArray(value.plugins) ? value.plugins : [];
}

type Loaded = Pick<LoadedApp, "manifests" | "plugins" | "functions">;

async function loadAll(loading: Loading, sdk: Sdk): Promise<Loaded> {
  const { border, graph } = loading;
  if (loading.dir.includes("?")) {
    // Bun takes what follows for a query, and would import another file.
    report(loading, ".", 'Cannot load from a folder that has "?" in its path');
    return { manifests: [], plugins: [], functions: new Map() };
  }
  // The first module of a graph is its main one; let that be none of the application's.
  for (const name of SDK_MODULE_NAMES) await border.run(() => graph.import(name));
  const files = new Set(listFiles(loading.dir));
  const manifests = [...(await loadAppFile(loading, files)), ...loadManifestFile(loading, files)];
  if (manifests.length === 0 && loading.problems.length === 0) {
    report(loading, ".", `There is no application here: expected app.ts or ${MANIFEST_FILE}`);
  }
  const functions = await loadFunctions(loading);
  sdk.close();
  const plugins = sdk.pluginsMissingFrom(manifests.flatMap(pluginsOf));
  return {
    manifests: manifests.map(({ file, value }) => ({ file, value: wrapFunctions(border, value) })),
    plugins: plugins.map((entry) => wrapFunctions(border, entry) as PluginEntry),
    functions,
  };
}

function createGraph(options: LoadAppOptions): Bun.ModuleGraph {
  const graph = new Bun.ModuleGraph({
    globals: createFetchGlobals(),
    onError: (error) => options.onUncaught(error),
  });
  modulesOf.set(graph, createModules(options.sdk));
  return graph;
}

/** Without symbolic links, as Bun names files; a folder that is missing is found to be empty. */
function resolveFolder(dir: string): string {
  try {
    return realpathSync(dir);
  } catch {
    return resolve(dir);
  }
}

/** Loads the application in `dir`. Whatever is wrong with it is in `problems`; nothing of it is thrown. */
export async function loadApp(options: LoadAppOptions): Promise<LoadedApp> {
  registerModules();
  const dir = resolveFolder(options.dir);
  refreshResolver(dir);
  const graph = createGraph(options);
  const border = createGraphBorder(graph);
  const { promise: timedOut, reject } = Promise.withResolvers<never>();
  timedOut.catch(() => undefined);
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const timer = setTimeout(
    () => reject(new Error(`Not loaded after ${timeoutMs} ms: is a top-level await waiting?`)),
    timeoutMs,
  );
  const loading: Loading = { dir, graph, border, problems: [], timedOut };
  try {
    const loaded = await loadAll(loading, options.sdk);
    return {
      ...loaded,
      problems: dedupeProblems(loading.problems),
      bindFetch: (fetchOfApp) => bindFetch(graph, fetchOfApp),
      idle: () => border.idle(),
      dispose: () => border.dispose(functionError("FN_ABORTED", { message: "The application was reloaded" })),
    };
  } finally {
    clearTimeout(timer);
  }
}
