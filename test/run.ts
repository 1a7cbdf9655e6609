// Runs the whole suite: builds the binary, starts one Postgres for all (unless TEST_POSTGRES_URL names one), runs every test
// on Bun, those of the rooms that lean on transactions again on Postgres, and the portable ones on Deno; ends with one line of
// counts. A file that reports nothing, a crash and a runner that fails without saying why all count as failures; so does a
// skipped test under CI, where everything that tests need has to be there.

import { existsSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";

import { readJUnit, type TestCase } from "./support/junit.ts";
import { needPostgres, selectPortableTests } from "./support/portable-tests.ts";
import { startPostgres, type PostgresServer } from "./support/postgres-server.ts";

const ROOT = join(import.meta.dir, "..");
const DENO = join(ROOT, "node_modules/deno", process.platform === "win32" ? "deno.exe" : "deno");
/** Long enough for a test that starts servers on a busy machine with two cores; a hanging one still ends. */
const TEST_TIMEOUT_MS = 60_000;

const HELP = `Usage: bun test/run.ts [--no-build] [--no-deno] [BUN TEST FLAG…] [FILTER…]

Runs the tests whose path contains one of the filters; without a filter, all of them.
Other flags go to bun test, such as --randomize; one with a value is written --seed=1.
`;

interface Outcome {
  readonly cases: readonly TestCase[];
  /** What went wrong beside the tests themselves; each counts as a failed test. */
  readonly troubles: readonly string[];
}

/** Calls `onLine` for each line as it arrives. */
async function readLines(stream: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
  if (rest !== "") onLine(rest);
}

/** Lines of `bun test` that say nothing new: passing tests, counts. */
const SILENT = /^\(pass\) |^ *\d+ (?:pass|skip|todo|fail|errors?|expect\(\) calls)$|^Ran \d+ tests |^$/;

/** Prints each file of `bun test` as it starts to report, and everything that is not a passing test or a count. */
function createBunProgress(print: (line: string) => void): (line: string) => void {
  let [current, printed, recap] = ["", "", false];
  const seen = new Set<string>();
  return (line) => {
    const file = /^(\S+\.test\.tsx?):$/.exec(line)?.[1];
    if (file !== undefined) {
      if (!seen.has(file)) print(file);
      if (!seen.has(file)) printed = file;
      seen.add(file);
      current = file;
      return;
    }
    const seed = /^ *(--seed=\d+)$/.exec(line)?.[1];
    if (seed) print(`The same order again: --randomize ${seed}`);
    // Bun repeats the failures at its end; so do we, with those of Deno.
    recap ||= /^\d+ tests? failed:$/.test(line);
    if (seed || recap || SILENT.test(line)) return;
    // Files report in turns.
    if (printed !== current) print(`${current}:`);
    printed = current;
    print(line);
  };
}

/** Prints each file that `deno test` comes to, and its list of failures. */
function createDenoProgress(print: (line: string) => void): (line: string) => void {
  const seen = new Set<string>();
  let failing = false;
  return (line) => {
    const file = /^\.\/(\S+\.test\.tsx?) => /.exec(line)?.[1];
    failing ||= /^ *ERRORS *$/.test(line);
    if (failing) print(line);
    else if (file !== undefined && !seen.has(file)) print(`${file} on Deno`);
    if (file !== undefined) seen.add(file);
  };
}

/** Reads the report of a runner that has ended; `files` are those that it was given. */
function judge(runner: string, exitCode: number, reportPath: string, files: readonly string[]): Outcome {
  const report = readJUnit(existsSync(reportPath) ? readFileSync(reportPath, "utf8") : "");
  const troubles = files
    .filter((file) => !report.files.has(file))
    .map((file) => `${file}: reported no test to ${runner}; it did not load, or is empty`);
  if (exitCode !== 0 && troubles.length === 0 && !report.cases.some(({ outcome }) => outcome === "failed")) {
    troubles.push(`${runner} ended with ${exitCode} although no test failed`);
  }
  return { cases: report.cases, troubles };
}

/** How the files of one `bun test` share processes. */
interface BunRun {
  readonly name: string;
  readonly files: readonly string[];
  readonly mode: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

async function runBun({ name, files, mode, env }: BunRun, flags: readonly string[], scratch: string): Promise<Outcome> {
  const report = join(scratch, `${name}.xml`);
  const run = Bun.spawn(
    [
      process.execPath,
      "test",
      // What a crashed test started (a server, a database) must not outlive the run.
      "--no-orphans",
      ...mode,
      `--timeout=${TEST_TIMEOUT_MS}`,
      "--reporter=junit",
      `--reporter-outfile=${report}`,
      ...flags,
      ...files.map((file) => `./${file}`),
    ],
    {
      cwd: ROOT,
      stdin: "ignore",
      stdout: "inherit",
      stderr: "pipe",
      env: { ...process.env, ...env, NO_COLOR: "1", TMPDIR: scratch },
    },
  );
  await readLines(
    run.stderr,
    createBunProgress((line) => console.log(line)),
  );
  return judge("bun test", await run.exited, report, files);
}

/**
 * Parallel workers keep the source of every module that they have loaded, so that a changed file is not seen again there.
 * What tests a reload runs in a plain process.
 */
const PLAIN_FILES: ReadonlySet<string> = new Set(["test/platform/load-app.test.ts"]);

/** Rooms that lean on transactions: their tests run on both stores. */
const ON_POSTGRES: readonly string[] = ["test/auth/", "test/data/", "test/functions/"];

function planBun(files: readonly string[]): BunRun[] {
  const runs: BunRun[] = [
    {
      name: "bun",
      files: files.filter((file) => !PLAIN_FILES.has(file)),
      mode: [`--parallel=${availableParallelism()}`],
    },
    { name: "bun-plain", files: files.filter((file) => PLAIN_FILES.has(file)), mode: [] },
    {
      name: "bun-postgres",
      files: files.filter((file) => ON_POSTGRES.some((folder) => file.startsWith(folder))),
      mode: [`--parallel=${availableParallelism()}`],
      env: { PYLON_TEST_STORE: "postgres" },
    },
  ];
  return runs.filter((run) => run.files.length > 0);
}

async function runDeno(files: readonly string[], scratch: string): Promise<Outcome> {
  const report = join(scratch, "deno.xml");
  const run = Bun.spawn([DENO, "test", "-A", "--no-check", "--parallel", `--junit-path=${report}`, ...files], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1", TMPDIR: scratch },
  });
  await readLines(
    run.stdout,
    createDenoProgress((line) => console.log(line)),
  );
  return judge("deno test", await run.exited, report, files);
}

async function buildBinary(): Promise<void> {
  const run = Bun.spawn([process.execPath, "run", "build.ts"], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  if ((await run.exited) !== 0) throw new Error("Cannot build the binary that the tests run");
}

/** Prints what the reader has to know and the line of counts. Returns whether all is well. */
function summarize(outcomes: readonly Outcome[], seconds: number): boolean {
  const cases = outcomes.flatMap((outcome) => outcome.cases);
  const names = (kind: TestCase["outcome"]): string[] =>
    cases.filter(({ outcome }) => outcome === kind).map(({ name }) => name);
  const [skipped, strict] = [names("skipped"), Boolean(process.env["CI"])];
  const troubles = outcomes.flatMap((outcome) => outcome.troubles);
  console.log("");
  for (const name of names("failed")) console.log(`failed: ${name}`);
  for (const trouble of troubles) console.log(`failed: ${trouble}`);
  for (const name of skipped) console.log(`skipped${strict ? ", which fails under CI" : ""}: ${name}`);
  const failed = names("failed").length + troubles.length + (strict ? skipped.length : 0);
  console.log(`${seconds.toFixed(1)} s`);
  const tail = skipped.length > 0 && !strict ? `, ${skipped.length} skipped` : "";
  console.log(`${names("passed").length} passed, ${failed} failed${tail}`);
  return failed === 0;
}

/** Source of the checkout, by its path from the root. */
function readSource(path: string): string | undefined {
  const full = join(ROOT, path);
  return existsSync(full) ? readFileSync(full, "utf8") : undefined;
}

/** Names the server that tests create their databases on to every process that this one starts from now on. */
async function providePostgres(files: readonly string[]): Promise<PostgresServer | undefined> {
  if (process.env["TEST_POSTGRES_URL"] || !needPostgres(files, readSource)) return undefined;
  const server = await startPostgres();
  process.env["TEST_POSTGRES_URL"] = server.url;
  return server;
}

async function runSelected(files: readonly string[], flags: readonly string[], deno: boolean): Promise<Outcome[]> {
  // What tests put into the folder for temporary files goes with it, also that of a test that was killed.
  const scratch = await mkdtemp(join(tmpdir(), "pylon-test-"));
  await chmod(scratch, 0o755);
  const server = await providePostgres(files);
  try {
    const outcomes: Outcome[] = [];
    for (const run of planBun(files)) outcomes.push(await runBun(run, flags, scratch));
    const portable = deno ? selectPortableTests(files, readSource) : [];
    if (portable.length > 0) outcomes.push(await runDeno(portable, scratch));
    return outcomes;
  } finally {
    await server?.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function main(args: readonly string[]): Promise<boolean> {
  if (args.includes("--help")) {
    console.log(HELP);
    return true;
  }
  const startedMs = performance.now();
  const own = new Set(["--no-build", "--no-deno"]);
  const flags = args.filter((arg) => arg.startsWith("-") && !own.has(arg));
  const filters = args.filter((arg) => !arg.startsWith("-")).map((filter) => filter.replace(/^\.\//, ""));
  const files = [...new Bun.Glob("test/**/*.test.{ts,tsx}").scanSync(ROOT)]
    .map((path) => path.replaceAll("\\", "/"))
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter)))
    .toSorted();
  if (files.length === 0) throw new Error(`No test file matches: ${filters.join(" ")}`);
  if (!args.includes("--no-build")) await buildBinary();
  const outcomes = await runSelected(files, flags, !args.includes("--no-deno"));
  return summarize(outcomes, (performance.now() - startedMs) / 1000);
}

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
