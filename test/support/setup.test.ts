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
type Lock = Readonly<Record<string, Entry>>;

const LOCK: Lock = {
  "": { version: "1.0.0" },
  "node_modules/bun": { version: "1.4.5", integrity: "sha512-bun" },
  "node_modules/deno": { version: "2.9.5" },
  "node_modules/zod": { version: "4.0.0" },
  "node_modules/@deno/plan9": { version: "2.9.5", optional: true },
};
const { "": _root, "node_modules/@deno/plan9": _otherPlatform, ...INSTALLED } = LOCK;

/** A checkout in a folder of its own, where programs print the given versions. */
async function makeTree(
  lock: Lock,
  installed: Lock | undefined,
  programs: Readonly<Record<string, string>>,
): Promise<string> {
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
    await write(path, `#!/bin/sh\necho "${output}"\n`);
    await chmod(join(root, path), 0o755);
  }
  return root;
}

const PROGRAMS = {
  "node_modules/bun/bin/bun.exe": "1.4.5",
  "node_modules/deno/deno": "deno 2.9.5 (stable, release, plan9)",
};

async function check(root: string): Promise<{ exitCode: number; output: string }> {
  const run = Bun.spawn([process.execPath, "test/support/setup.mjs", "--check"], { cwd: root, stdout: "pipe" });
  const output = await new Response(run.stdout).text();
  return { exitCode: await run.exited, output: output.trim() };
}

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

  const broken: Readonly<Record<string, readonly [Readonly<Record<string, string>>, string]>> = {
    "an executable that is not there": [
      { "node_modules/bun/bin/bun.exe": "1.4.5" },
      "node_modules/deno/deno does not run",
    ],
    "an executable of another version": [
      { ...PROGRAMS, "node_modules/bun/bin/bun.exe": "1.3.0" },
      "node_modules/bun/bin/bun.exe is not 1.4.5: 1.3.0",
    ],
  };
  for (const [name, [programs, problem]] of Object.entries(broken)) {
    test(`finds ${name}`, async () => {
      expect(await check(await makeTree(LOCK, INSTALLED, programs))).toEqual({ exitCode: 1, output: problem });
    });
  }
});
