// The runner's last line and exit code are believed by everyone, so every way in which a suite can go wrong is played
// here, in a small suite of its own.

import { afterAll, describe, expect, test } from "bun:test";
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const scratch = await mkdtemp(join(tmpdir(), "pylon-run-"));
afterAll(() => rm(scratch, { recursive: true, force: true }));

const PORTABLE = `import { it } from "node:test"; import assert from "node:assert/strict";`;
const BUN_ONLY = `import { test, expect } from "bun:test";`;

interface Ended {
  readonly exitCode: number;
  /** The last line that was printed. */
  readonly summary: string;
  readonly output: string;
}

/** Runs the given test files, in a checkout of their own, without building. */
async function runSuite(files: Readonly<Record<string, string>>, ci: boolean, ...args: string[]): Promise<Ended> {
  const root = await mkdtemp(join(scratch, "suite-"));
  for (const path of ["test/run.ts", "test/house-rooms.ts", "test/house-scan.ts", "test/support", "package.json"]) {
    await cp(join(ROOT, path), join(root, path), {
      recursive: true,
      filter: (source) => !source.endsWith(".test.ts"),
    });
  }
  await symlink(join(ROOT, "node_modules"), join(root, "node_modules"));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  const { CI: _ci, ...env } = process.env;
  const child = Bun.spawn([process.execPath, "test/run.ts", "--no-build", ...args], {
    cwd: root,
    env: ci ? { ...env, CI: "true" } : env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  const summary = stdout.trimEnd().split("\n").at(-1) ?? "";
  return { exitCode: await child.exited, summary, output: stdout + stderr };
}

describe("test/run.ts", () => {
  test("counts portable tests on both runtimes, and the others once", async () => {
    const ended = await runSuite(
      {
        "test/core/a.test.ts": `${PORTABLE} it("one", () => assert.equal(1, 1)); it("two", () => {});`,
        "test/e2e/b.test.ts": `${BUN_ONLY} test("three", () => expect(1).toBe(1));`,
      },
      true,
    );
    expect(ended).toMatchObject({ exitCode: 0, summary: "5 passed, 0 failed" });
    expect(ended.output).toContain("test/core/a.test.ts on Deno");
  });

  const wrong: Readonly<Record<string, readonly [file: string, says: string]>> = {
    "a failing test": [`${BUN_ONLY} test("bad", () => expect(1).toBe(2));`, "failed: bad"],
    "a file that does not load": [`${BUN_ONLY} import "./missing.ts"; test("x", () => {});`, "test/e2e/wrong.test.ts"],
    "a file without tests": [BUN_ONLY, "test/e2e/wrong.test.ts: reported no test"],
    "a file that ends the process": [`${BUN_ONLY} test("x", () => process.exit(0));`, "(worker crashed)"],
    "a rejection that nobody handles": [
      `${BUN_ONLY} test("x", async () => { void Promise.reject(new Error("lost")); await Bun.sleep(20); });`,
      "lost",
    ],
  };
  for (const [name, [file, says]] of Object.entries(wrong)) {
    test(`counts ${name} as one failure`, async () => {
      const good = `${BUN_ONLY} test("good", () => expect(1).toBe(1));`;
      const ended = await runSuite({ "test/e2e/good.test.ts": good, "test/e2e/wrong.test.ts": file }, false);
      expect(ended).toMatchObject({ exitCode: 1, summary: "1 passed, 1 failed" });
      expect(ended.output).toContain(says);
    });
  }

  test("counts a test that fails on Deno alone", async () => {
    const file = `${PORTABLE} it("runs on Bun", () => assert.ok(!("Deno" in globalThis)));`;
    const ended = await runSuite({ "test/core/a.test.ts": file }, false);
    expect(ended).toMatchObject({ exitCode: 1, summary: "1 passed, 1 failed" });
  });

  test("shows a skipped test, and fails it under CI", async () => {
    const files = {
      "test/e2e/a.test.ts": `${BUN_ONLY} test("good", () => {}); test.skip("no server here", () => {});`,
    };
    const [here, ci] = [await runSuite(files, false), await runSuite(files, true)];
    expect(here).toMatchObject({ exitCode: 0, summary: "1 passed, 0 failed, 1 skipped" });
    expect(here.output).toContain("skipped: no server here");
    expect(ci).toMatchObject({ exitCode: 1, summary: "1 passed, 1 failed" });
    expect(ci.output).toContain("no server here");
  });

  test("runs what a filter names, with the flags that follow", async () => {
    const files = {
      "test/e2e/a.test.ts": `${BUN_ONLY} test("good", () => {}); test("other", () => {});`,
      "test/e2e/b.test.ts": `${BUN_ONLY} test("bad", () => expect(1).toBe(2));`,
    };
    expect(await runSuite(files, false, "e2e/a")).toMatchObject({ exitCode: 0, summary: "2 passed, 0 failed" });
    expect((await runSuite(files, false, "./test/e2e/a.test.ts", "--randomize")).output).toContain("--seed=");
  });

  test("does not take a filter that matches nothing for success", async () => {
    const ended = await runSuite(
      { "test/e2e/a.test.ts": `${BUN_ONLY} test("good", () => {});` },
      false,
      "nothing-here",
    );
    expect(ended.exitCode).toBe(1);
    expect(ended.output).toContain("No test file matches: nothing-here");
  });
});
