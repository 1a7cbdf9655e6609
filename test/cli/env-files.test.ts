// Variables from files under the environment of the process, and how they leave it again.

import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createEnvFiles } from "../../src/cli/env-files.ts";
import { type AppDir, createAppDir } from "./running-pylon.ts";

const made: AppDir[] = [];
afterAll(async () => {
  for (const app of made) await app.remove();
});

async function folder(files: Readonly<Record<string, string>>): Promise<AppDir> {
  const app = await createAppDir(files);
  made.push(app);
  return app;
}

describe("createEnvFiles", () => {
  test("lays .env.local over .env, and both under what is there", async () => {
    const { dir } = await folder({ ".env": "A=1\nB=1\nC=1\nEMPTY=1\n", ".env.local": "B=2\n" });
    const env: Record<string, string | undefined> = { C: "given", EMPTY: "" };
    const files = createEnvFiles(dir, env);
    files.load();
    expect(env).toEqual({ A: "1", B: "2", C: "given", EMPTY: "" });
    expect([files.has("A"), files.has("C"), files.has("NONE")]).toEqual([true, false, false]);
  });

  test("follows the files when they are read again", async () => {
    const app = await folder({ ".env": "A=1\nB=1\n" });
    const env: Record<string, string | undefined> = { GIVEN: "given" };
    const files = createEnvFiles(app.dir, env);
    files.load();
    app.write({ ".env": "A=2\nNEW=1\n" });
    files.load();
    expect(env).toEqual({ GIVEN: "given", A: "2", NEW: "1" });
    expect(files.has("B")).toBe(false);
    rmSync(join(app.dir, ".env"));
    files.load();
    expect(env).toEqual({ GIVEN: "given" });
  });

  test("changes nothing when a line does not fit", async () => {
    const app = await folder({ ".env": "A=1\n" });
    const env: Record<string, string | undefined> = {};
    const files = createEnvFiles(app.dir, env);
    files.load();
    app.write({ ".env": "A=2\nno\n", ".env.local": "no\n" });
    expect(() => files.load()).toThrow(
      expect.objectContaining({
        code: "ENV_FILE_INVALID",
        details: [
          { path: ".env:2", message: "Expected NAME=value" },
          { path: ".env.local:1", message: "Expected NAME=value" },
        ],
      }),
    );
    expect(env).toEqual({ A: "1" });
  });

  test("says that a file cannot be read", async () => {
    const app = await folder({ ".env/file": "" });
    expect(() => createEnvFiles(app.dir, {}).load()).toThrow(expect.objectContaining({ code: "ENV_FILE_INVALID" }));
  });
});
