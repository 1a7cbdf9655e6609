// The compiled binary starts, says what it is, refuses what it does not know, and runs nothing that lies around in the
// folder where it is started.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import packageJson from "../../package.json" with { type: "json" };
import { PYLON_BINARY, runPylon } from "../support/pylon-binary.ts";

const empty = await mkdtemp(join(tmpdir(), "pylon-smoke-"));
const hostile = await mkdtemp(join(tmpdir(), "pylon-hostile-"));

beforeAll(async () => {
  const trap = `require("node:fs").writeFileSync(${JSON.stringify(join(hostile, "trapped"))}, "x");`;
  await writeFile(join(hostile, "bunfig.toml"), `preload = ["./trap.js"]\n[run]\npreload = ["./trap.js"]\n`);
  await writeFile(join(hostile, "trap.js"), trap);
  await writeFile(join(hostile, ".env"), "PYLON_ADMIN_TOKEN=from-the-working-directory-0123456789\nPYLON_PORT=0\n");
  await writeFile(join(hostile, ".env.production"), "PYLON_ADMIN_TOKEN=from-the-working-directory-0123456789\n");
  await writeFile(
    join(hostile, "pylon.manifest.json"),
    JSON.stringify({ manifest_version: 1, name: "hostile", version: "0.1.0", entities: [], policies: [], plugins: [] }),
  );
});

afterAll(async () => {
  await rm(empty, { recursive: true, force: true });
  await rm(hostile, { recursive: true, force: true });
});

test("the binary is there", async () => {
  expect(await Bun.file(PYLON_BINARY).exists()).toBe(true);
});

describe("pylon version", () => {
  test("prints the version that package.json states", async () => {
    const { exitCode, stdout, stderr } = await runPylon(["version"], { cwd: empty });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(stdout).toContain(packageJson.version);
  });
});

describe("pylon help", () => {
  test("names every command", async () => {
    const { exitCode, stdout, stderr } = await runPylon(["help"], { cwd: empty });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    for (const command of ["init", "dev", "serve", "check", "migrate", "audit", "version", "help"]) {
      expect(stdout).toMatch(new RegExp(`\\b${command}\\b`));
    }
  });
});

describe("wrong usage", () => {
  test.each([[["frobnicate"]], [["serve", "--frobnicate"]], [["audit", "frobnicate"]]])(
    "%j ends with 2",
    async (args) => {
      const { exitCode, stdout, stderr } = await runPylon(args, { cwd: empty });
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
      expect(stderr).toContain("frobnicate");
    },
  );
});

describe("a hostile working directory", () => {
  test("has its bunfig.toml not run", async () => {
    const { exitCode, stdout } = await runPylon(["version"], { cwd: hostile });
    expect(exitCode).toBe(0);
    expect(stdout).toContain(packageJson.version);
    expect(await Bun.file(join(hostile, "trapped")).exists()).toBe(false);
  });

  test("has its .env not read in production: the admin token in it does not count", async () => {
    const { exitCode, stderr } = await runPylon(["serve", "."], { cwd: hostile });
    expect(exitCode).toBe(1);
    expect(stderr).toContain("PYLON_ADMIN_TOKEN");
    expect(stderr).not.toContain("from-the-working-directory");
    expect(await Bun.file(join(hostile, "trapped")).exists()).toBe(false);
  });
});
