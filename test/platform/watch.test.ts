// What counts as a change of an application, with the system's notices and without them.

import { afterEach, describe, expect, test } from "bun:test";
import { join, relative } from "node:path";
import fc from "fast-check";
import { diffFingerprints, type Watch, watchApp, type WatchOptions } from "../../src/platform/watch.ts";
import { type AppFolder, createAppFolder } from "./app-folder.ts";

const closing: (() => void | Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function folder(): Promise<AppFolder> {
  const made = await createAppFolder();
  made.write({
    "app.ts": "1",
    "functions/a.ts": "1",
    "lib/deep/b.ts": "1",
    "node_modules/x/x.js": "1",
    ".pylon/pylon.db": "1",
  });
  closing.push(() => made.remove());
  return made;
}

interface Watching {
  readonly watch: Watch;
  /** The paths that were reported since the last call, waiting for the first. */
  readonly next: () => Promise<string[]>;
  readonly reported: string[];
}

function start({ dir }: AppFolder, options: Partial<WatchOptions> = {}): Watching {
  const reported: string[] = [];
  const watch = watchApp({
    dir,
    debounceMs: 20,
    pollMs: 20,
    onChange: (paths) => void reported.push(...paths.map((path) => relative(dir, path))),
    onError: (error) => {
      throw error;
    },
    ...options,
  });
  closing.push(() => watch.close());
  return {
    watch,
    reported,
    async next() {
      while (reported.length === 0) await Bun.sleep(5);
      return reported.splice(0);
    },
  };
}

describe.each([{ poll: false }, { poll: true }])("watchApp with %o", ({ poll }) => {
  test("reports what was added, changed and removed, also in new folders", async () => {
    const made = await folder();
    const { next } = start(made, { poll });
    made.write({ "functions/a.ts": "22" });
    expect(await next()).toEqual(["functions/a.ts"]);
    made.write({ "new/folder/c.ts": "1" });
    expect(await next()).toEqual(["new/folder/c.ts"]);
    made.write({ "new/folder/c.ts": "333" });
    expect(await next()).toEqual(["new/folder/c.ts"]);
    made.delete("lib");
    expect(await next()).toEqual(["lib/deep/b.ts"]);
  });

  test("says nothing of what is installed, generated or ignored", async () => {
    const made = await folder();
    const { next } = start(made, { poll, ignore: (path) => path.endsWith(".secret") });
    const noise = [
      "node_modules/x/x.js",
      ".pylon/pylon.db",
      "dist/out.js",
      ".git/HEAD",
      "data.db-wal",
      "a.ts~",
      ".b.swp",
      "c.secret",
    ];
    made.write(Object.fromEntries(noise.map((path) => [path, "22"])));
    made.write({ ".env": "A=1" });
    expect(await next()).toEqual([".env"]);
  });

  test("says nothing once it is closed", async () => {
    const made = await folder();
    const first = start(made, { poll });
    first.watch.close();
    const second = start(made, { poll });
    made.write({ "app.ts": "22" });
    await second.next();
    expect(first.reported).toEqual([]);
  });
});

test("changes during a reload are reported after it, and a failed reload is told", async () => {
  const made = await folder();
  const gate = Promise.withResolvers<void>();
  const calls: string[][] = [];
  const errors: unknown[] = [];
  const watch = watchApp({
    dir: made.dir,
    debounceMs: 10,
    onError: (error) => errors.push(error),
    async onChange(paths) {
      calls.push(paths.map((path) => relative(made.dir, path)));
      if (calls.length > 1) return;
      await gate.promise;
      throw new Error("reload failed");
    },
  });
  closing.push(() => watch.close());
  made.write({ "app.ts": "22" });
  while (calls.length === 0) await Bun.sleep(5);
  made.write({ "lib/deep/b.ts": "22" });
  await Bun.sleep(50);
  expect(calls).toEqual([["app.ts"]]);
  gate.resolve();
  while (calls.length === 1) await Bun.sleep(5);
  expect(calls[1]).toEqual([join("lib", "deep", "b.ts")]);
  expect(errors).toEqual([new Error("reload failed")]);
});

test("diffFingerprints lists exactly the paths that differ", () => {
  const files = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("1", "2"));
  fc.assert(
    fc.property(files, files, (before, after) => {
      const wanted = ["a", "b", "c", "d"].filter((path) => before[path] !== after[path]);
      expect(diffFingerprints(new Map(Object.entries(before)), new Map(Object.entries(after)))).toEqual(wanted);
    }),
  );
});
