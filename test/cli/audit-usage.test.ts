// The audit commands called the wrong way: what is said leads to the right one, and nothing but a bug is called a bug.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CliPlatform } from "../../src/cli/cli-platform.ts";
import { runCli } from "../../src/cli/run-cli.ts";
import { openAuditFile } from "../../src/platform/audit-file.ts";
import { createTempDir } from "../support/temp-dir.ts";

const AUDIT_COMMANDS = ["verify", "export", "checkpoint", "key", "redact"];

interface Said {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

let folder: Awaited<ReturnType<typeof createTempDir>>;
beforeAll(async () => {
  folder = await createTempDir();
  // To SQLite a database without tables.
  writeFileSync(join(folder.path, "empty.db"), "");
  writeFileSync(
    join(folder.path, "notes.txt"),
    "This is no database, and longer than its header would be. ".repeat(20),
  );
});
afterAll(() => folder.remove());

async function run(...words: string[]): Promise<Said> {
  const said = { stdout: "", stderr: "" };
  const terminal = (name: "stdout" | "stderr"): CliPlatform["stdout"] => ({
    isTTY: false,
    write(text) {
      said[name] += text;
    },
  });
  const platform = {
    env: {},
    cwd: folder.path,
    stdout: terminal("stdout"),
    stderr: terminal("stderr"),
    openRuntime: () => Promise.resolve({}),
    openAuditFile: async (path: string) => openAuditFile(path),
  } as unknown as CliPlatform;
  return { exitCode: await runCli(words, platform), ...said };
}

describe("a command's first word alone", () => {
  test.each([[["help", "audit"]], [["audit"]], [["audit", "--help"]], [["audit", "-h"]]])(
    "%j lists what there is of it",
    async (words) => {
      const { exitCode, stdout, stderr } = await run(...words);
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
      for (const name of AUDIT_COMMANDS) expect(stdout).toMatch(new RegExp(`^  audit ${name} `, "m"));
      expect(stdout).not.toContain("migrate");
    },
  );

  test.each([
    ["audit verfy", "Did you mean `pylon audit verify`?"],
    ["audit frobnicate", "`pylon help audit` lists what there is of it"],
    ["audit --json", "`pylon help audit` lists what there is of it"],
    ["help audit frobnicate", "`pylon help audit` lists what there is of it"],
    ["migrat", "Did you mean `pylon migrate`?"],
  ])("%s is refused with a hint", async (line, hint) => {
    const { exitCode, stdout, stderr } = await run(...line.split(" "));
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toMatch(/^error USAGE: There is no command "/);
    expect(stderr).toEndWith(`hint: ${hint}\n`);
  });
});

describe("an option that does not fit", () => {
  test.each([
    ["audit export --format xml", "audit export"],
    ["audit export --json", "audit export"],
    ["audit export --since yesterday", "audit export"],
    ["audit redact --entity Order --reason x", "audit redact"],
    ["audit verify empty.db --checkpoint nowhere.txt", "audit verify"],
    ["backup", "backup"],
  ])("%s names the help of its command", async (line, command) => {
    const { exitCode, stdout, stderr } = await run(...line.split(" "));
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
    expect(stderr).toEndWith(`hint: \`pylon help ${command}\` says how it is called\n`);
  });
});

describe("a file that is no database", () => {
  test.each(["verify", "export"])("is said to be none by audit %s, and is nobody's bug", async (command) => {
    const { exitCode, stdout, stderr } = await run("audit", command, "notes.txt");
    expect({ exitCode, stdout }).toEqual({ exitCode: command === "verify" ? 2 : 1, stdout: "" });
    expect(stderr).toMatch(
      /^error STORE_UNSUPPORTED: Cannot read ".*notes\.txt": file is not a database\nhint: [^\n]*\n$/,
    );
  });

  test("is one document with --json", async () => {
    const { stdout } = await run("audit", "verify", "notes.txt", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: "STORE_UNSUPPORTED" } });
  });
});
