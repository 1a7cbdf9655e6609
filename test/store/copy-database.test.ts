// Copying a database: what goes wrong has a code.

import { afterAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { copyDatabase } from "../../src/store/sqlite/copy-database.ts";
import { createTempDir } from "../support/temp-dir.ts";
import { createRecordingPlatform } from "./recording-platform.ts";

const scratch = await createTempDir();
afterAll(() => scratch.remove());

function makeDatabase(name: string): string {
  const path = join(scratch.path, name);
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA user_version = 7; CREATE TABLE kept (id INTEGER PRIMARY KEY)");
  database.exec("INSERT INTO kept VALUES (3), (9)");
  database.close();
  return path;
}

describe("copyDatabase", () => {
  test("copies rows, their numbers and the version", () => {
    const to = join(scratch.path, "copy");
    writeFileSync(to, "");
    copyDatabase({ platform: createRecordingPlatform(), from: makeDatabase("a"), to });
    const copy = new DatabaseSync(to);
    expect(copy.prepare("SELECT id FROM kept").all()).toEqual([{ id: 3 }, { id: 9 }]);
    expect(copy.prepare("PRAGMA user_version").get()).toEqual({ user_version: 7 });
    copy.close();
  });

  const failures: Readonly<Record<number, string>> = { 13: "STORE_FULL", 5: "STORE_BUSY", 11: "STORE_FAILED" };
  for (const [errcode, code] of Object.entries(failures)) {
    test(`says ${code} when SQLite says ${errcode}`, () => {
      const platform = createRecordingPlatform();
      const error = Object.assign(new Error("x"), { code: "ERR_SQLITE_ERROR", errcode: Number(errcode) });
      platform.failNext("VACUUM INTO ?", error);
      const copy = () => copyDatabase({ platform, from: makeDatabase(code), to: join(scratch.path, "never") });
      expect(copy).toThrow(expect.objectContaining({ code }));
    });
  }

  test("does not write over a file that holds something", () => {
    const [from, to] = [makeDatabase("b"), makeDatabase("c")];
    const copy = () => copyDatabase({ platform: createRecordingPlatform(), from, to });
    expect(copy).toThrow(expect.objectContaining({ code: "STORE_FAILED" }));
  });
});
