// A new file is whole or not there, whichever step fails.

import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";

import { renderSize } from "../../src/cli/backup.ts";
import { makeNewFile } from "../../src/cli/new-file.ts";
import { createTempDir } from "../support/temp-dir.ts";

const scratch = await createTempDir();
afterAll(() => scratch.remove());

const makeFolder = (): Promise<string> => mkdtemp(join(scratch.path, "new-"));

const codeOf = (made: Promise<number>): Promise<unknown> => made.catch((error: { code: string }) => error.code);

describe("makeNewFile", () => {
  test("answers the size, and nothing else is left", async () => {
    const folder = await makeFolder();
    const file = join(folder, "a");
    expect(await makeNewFile(file, async (partial) => writeFileSync(partial, "four"))).toBe(4);
    expect(readdirSync(folder)).toEqual(["a"]);
    expect(readFileSync(file, "utf8")).toBe("four");
  });

  test("leaves nothing when filling fails, and says what failed", async () => {
    const folder = await makeFolder();
    const failing = makeNewFile(join(folder, "a"), async (partial) => {
      writeFileSync(partial, "half");
      throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    });
    expect(await codeOf(failing)).toBe("FILES_UNWRITABLE");
    expect(readdirSync(folder)).toEqual([]);
  });

  test("keeps what another process put there meanwhile", async () => {
    const folder = await makeFolder();
    const file = join(folder, "a");
    const late = makeNewFile(file, async (partial) => {
      writeFileSync(partial, "ours");
      writeFileSync(file, "theirs");
    });
    expect(await codeOf(late)).toBe("FILES_EXIST");
    expect(readdirSync(folder)).toEqual(["a"]);
    expect(readFileSync(file, "utf8")).toBe("theirs");
  });
});

test("sizes are in units of a thousand", () => {
  expect([0, 999, 1_000, 12_345_678, 2e15].map(renderSize)).toEqual([
    "0 bytes",
    "999 bytes",
    "1.0 kB",
    "12.3 MB",
    "2000.0 TB",
  ]);
});
