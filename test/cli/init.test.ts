// Pieces of `pylon init`: words as a shell reads them back, and tokens that are worth the name.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createAdminToken } from "../../src/cli/admin-token.ts";
import { createAppFiles } from "../../src/cli/app-template.ts";
import { quoteForShell } from "../../src/cli/init.ts";
import { readSettings } from "../../src/instance/settings.ts";

describe("quoteForShell", () => {
  test("leaves simple words alone", () => {
    for (const word of ["shop", "./a/b-c_1.2", "/srv/app@2"]) expect(quoteForShell(word)).toBe(word);
  });

  test("gives a word that a shell reads back as it was", () => {
    const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }).filter((text) => !text.includes("\0"));
    fc.assert(
      fc.property(word, (text) => {
        const shell = Bun.spawnSync(["sh", "-c", `printf %s ${quoteForShell(text)}`]);
        expect(shell.stdout.toString()).toBe(text);
      }),
      { numRuns: 30 },
    );
  });
});

describe("createAdminToken", () => {
  test("is new each time, fits the settings, and is no session token or API key", () => {
    const tokens = Array.from({ length: 100 }, createAdminToken);
    expect(new Set(tokens).size).toBe(100);
    for (const token of tokens) {
      expect(token).toMatch(/^adm_[\w-]{32}$/);
      expect(readSettings({ PYLON_ADMIN_TOKEN: token }, "serve").adminToken).toBe(token);
    }
  });
});

describe("createAppFiles", () => {
  test("puts any name into the application as it is", () => {
    const name = 'a "b" $& \\ `c`';
    const files = createAppFiles({ name, adminToken: "$&" });
    const app = files.find(({ path }) => path === "app.ts")?.text ?? "";
    expect(app).toContain(`name: ${JSON.stringify(name)},`);
    const env = files.find(({ path }) => path === ".env");
    expect(env?.text).toContain("PYLON_ADMIN_TOKEN=$&\n");
    expect(files.filter(({ isSecret }) => isSecret)).toEqual([env as NonNullable<typeof env>]);
  });
});
