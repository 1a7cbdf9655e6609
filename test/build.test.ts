// The build says what is wrong, by exit code and by name, and a failed one leaves the last good binary alone.

import { afterAll, describe, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const scratch = await mkdtemp(join(tmpdir(), "pylon-build-"));
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** A project of its own that is built by this repository's build.ts. */
async function makeProject(main: string): Promise<string> {
  const root = await mkdtemp(join(scratch, "project-"));
  await mkdir(join(root, "src"));
  await cp(join(ROOT, "build.ts"), join(root, "build.ts"));
  await writeFile(join(root, "package.json"), JSON.stringify({ type: "module", version: "7.8.9" }));
  await writeFile(join(root, "src/main.ts"), main);
  return root;
}

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(command: readonly string[], cwd: string): Promise<Ended> {
  const child = Bun.spawn([...command], { cwd, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { exitCode: await child.exited, stdout, stderr };
}

const build = (root: string, ...args: string[]): Promise<Ended> =>
  run([process.execPath, "run", "build.ts", ...args], root);

describe("build.ts", () => {
  test("explains itself", async () => {
    const { exitCode, stdout } = await build(ROOT, "--help");
    expect(exitCode).toBe(0);
    expect(stdout).toContain("--target");
    expect(stdout).toContain("bun-linux-x64");
  });

  test.each([["--target=bun-amiga-68k"], ["--target=bun-linux-x64,nope"], ["--target="], ["--frob"], ["extra"]])(
    "refuses %s as wrong usage",
    async (arg) => {
      const { exitCode, stdout, stderr } = await build(ROOT, arg);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      if (arg.startsWith("--target")) expect(stderr).toContain("bun-linux-x64, bun-linux-x64-musl");
    },
  );

  test("builds a program that knows its version and ignores what lies around where it runs", async () => {
    const root = await makeProject(`
      declare const PYLON_BUILD_VERSION: string, PYLON_BUILD_COMMIT: string;
      const { waited } = await Promise.resolve({ waited: true });
      console.log(JSON.stringify([PYLON_BUILD_VERSION, PYLON_BUILD_COMMIT, waited, process.env["TRAP"] ?? null]));
    `);
    const { exitCode, stdout } = await build(root);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^dist\/pylon {2}[\d.]+ MB {2}[\d.]+ s\n$/),
    });
    expect(await readdir(join(root, "dist"))).toEqual(["pylon"]);
    const hostile = await mkdtemp(join(scratch, "hostile-"));
    await writeFile(join(hostile, "bunfig.toml"), `preload = ["./trap.ts"]\n`);
    await writeFile(join(hostile, "trap.ts"), `console.log("trapped"); process.env["TRAP"] = "preload";`);
    await writeFile(join(hostile, ".env"), "TRAP=dotenv\n");
    const started = await run([join(root, "dist/pylon")], hostile);
    expect(started).toEqual({ exitCode: 0, stdout: `["7.8.9","unknown",true,null]\n`, stderr: "" });
  });

  test("keeps the last good binary when the sources do not compile", async () => {
    const root = await makeProject(`import "./missing.ts";`);
    await mkdir(join(root, "dist"));
    await writeFile(join(root, "dist/pylon"), "the last good one");
    const { exitCode, stderr } = await build(root);
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining("./missing.ts") });
    expect(await Bun.file(join(root, "dist/pylon")).text()).toBe("the last good one");
    expect(await readdir(join(root, "dist"))).toEqual(["pylon"]);
  });
});
