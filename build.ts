// Compiles Pylon into one executable per target under dist/, and is the only file that knows how. A binary appears under
// its final name complete or not at all, and never with a part of the build having quietly failed.

import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";

const ROOT = import.meta.dir;
const ENTRY = "src/main.ts";
/** A Worker's code has to be an entry point of its own to be part of the executable. */
const WORKERS = new Bun.Glob("src/**/*-worker.ts");

/** What can be built: the target's name for the compiler, and the name of the file. */
const TARGETS: Readonly<Record<string, string>> = {
  "bun-linux-x64": "pylon-linux-x64",
  "bun-linux-x64-musl": "pylon-linux-x64-musl",
  "bun-linux-arm64": "pylon-linux-arm64",
  "bun-linux-arm64-musl": "pylon-linux-arm64-musl",
  "bun-darwin-x64": "pylon-darwin-x64",
  "bun-darwin-arm64": "pylon-darwin-arm64",
  "bun-windows-x64": "pylon-windows-x64.exe",
  "bun-windows-arm64": "pylon-windows-arm64.exe",
};

const FLAGS = [
  "--compile",
  "--minify",
  "--sourcemap",
  // Bytecode defaults to CommonJS, which has no top-level await.
  "--bytecode",
  "--format=esm",
  // An application's own imports resolve by its package.json and tsconfig.json.
  "--compile-autoload-package-json",
  "--compile-autoload-tsconfig",
  // A bunfig.toml in the working directory could preload code into the executable; .env is for `pylon dev` to read.
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-dotenv",
];

const HELP = `Usage: bun run build.ts [--target=TARGET[,TARGET…]]

Builds dist/pylon for this machine, or dist/pylon-<os>-<arch> for each target.
Another platform's runtime is downloaded once and then kept.

Targets:
${Object.keys(TARGETS)
  .map((target) => `  ${target}`)
  .join("\n")}
`;

/** Wrong usage: the reader is told how, and the exit code is 2. */
class UsageError extends Error {}

interface Build {
  /** Undefined: this machine. */
  readonly target: string | undefined;
  readonly file: string;
}

/** @throws UsageError */
function planBuilds(args: readonly string[]): readonly Build[] | "help" {
  let values: { target?: string[] | undefined; help?: boolean | undefined };
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: { target: { type: "string", multiple: true }, help: { type: "boolean", short: "h" } },
    }));
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
  if (values.help) return "help";
  if (!values.target) return [{ target: undefined, file: process.platform === "win32" ? "pylon.exe" : "pylon" }];
  const targets = new Set(values.target.flatMap((list) => list.split(",")).map((name) => name.trim()));
  return Array.from(targets, (target) => {
    const file = TARGETS[target];
    if (!file) throw new UsageError(`Unknown target: "${target}". Valid targets: ${Object.keys(TARGETS).join(", ")}`);
    return { target, file };
  });
}

/** What the program can say about itself: `PYLON_BUILD_VERSION` and `PYLON_BUILD_COMMIT` become string literals. */
async function readIdentity(): Promise<Readonly<Record<string, string>>> {
  const { version } = (await Bun.file(join(ROOT, "package.json")).json()) as { version: string };
  const git = Bun.spawnSync(["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"], { cwd: ROOT });
  return {
    PYLON_BUILD_VERSION: version,
    PYLON_BUILD_COMMIT: git.success ? git.stdout.toString().trim() : "unknown",
  };
}

/** Why a finished compiler run does not count, or undefined when it does. */
function findFailure(exitCode: number, output: string, target: string | undefined): string | undefined {
  if (/Failed to download/i.test(output)) {
    return `Cannot download the runtime of ${target}: building for another platform needs the network once\n${output}`;
  }
  if (exitCode !== 0) return `Cannot build: the compiler ended with ${exitCode}\n${output}`;
  // The compiler only prints this and goes on, leaving an executable that parses everything at each start.
  if (/Failed to generate bytecode/i.test(output)) return `Cannot build: the bytecode is missing\n${output}`;
  return undefined;
}

/** Compiles into a folder of its own and then moves the executable, so that a running one is replaced, not written to. */
async function compile(build: Build, defines: readonly string[], workers: readonly string[]): Promise<number> {
  const scratch = join(ROOT, "dist", `.building-${process.pid}`);
  const made = join(scratch, build.file);
  await mkdir(scratch, { recursive: true });
  try {
    const target = build.target ? [`--target=${build.target}`] : [];
    const run = Bun.spawn(
      [process.execPath, "build", ENTRY, ...workers, ...FLAGS, ...target, ...defines, `--outfile=${made}`],
      { cwd: ROOT, stdin: "ignore", stdout: "pipe", stderr: "pipe", env: { ...process.env, NO_COLOR: "1" } },
    );
    const [stdout, stderr] = await Promise.all([new Response(run.stdout).text(), new Response(run.stderr).text()]);
    const failure = findFailure(await run.exited, `${stdout}${stderr}`.trim(), build.target);
    if (failure) throw new Error(failure);
    const { size } = await stat(made);
    await rename(made, join(ROOT, "dist", build.file));
    return size;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<void> {
  const builds = planBuilds(args);
  if (builds === "help") {
    console.log(HELP);
    return;
  }
  const defines = Object.entries(await readIdentity()).map(
    ([name, value]) => `--define=${name}=${JSON.stringify(value)}`,
  );
  const workers = [...WORKERS.scanSync(ROOT)].toSorted();
  for (const build of builds) {
    const startedMs = performance.now();
    const bytes = await compile(build, defines, workers);
    const seconds = (performance.now() - startedMs) / 1000;
    console.log(`dist/${build.file}  ${(bytes / 1e6).toFixed(1)} MB  ${seconds.toFixed(1)} s`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
