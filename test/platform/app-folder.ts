// Folders of small applications for tests of the loader: a copy of a fixture, or files given as text.

import { cpSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createSdk, type SdkHost } from "../../src/sdk/sdk.ts";
import { loadApp, type LoadAppOptions, type LoadedApp } from "../../src/platform/load-app-bun.ts";
import { createTempDir } from "../support/temp-dir.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/apps");

export interface AppFolder {
  readonly dir: string;
  write(files: Readonly<Record<string, string>>): void;
  delete(path: string): void;
  load(host?: SdkHost, options?: Partial<LoadAppOptions>): Promise<LoadedApp>;
  remove(): Promise<void>;
}

/** An empty folder, or a copy of fixture `name` with its `packages` installed. */
export async function createAppFolder(name?: string): Promise<AppFolder> {
  const temp = await createTempDir("pylon-app-");
  const dir = join(temp.path, "app");
  mkdirSync(dir);
  if (name !== undefined) {
    cpSync(join(FIXTURES, name), dir, { recursive: true });
    renameSync(join(dir, "packages"), join(dir, "node_modules"));
  }
  const loaded: LoadedApp[] = [];
  return {
    dir,
    write(files) {
      for (const [file, text] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, file)), { recursive: true });
        writeFileSync(join(dir, file), text);
      }
    },
    delete: (file) => rmSync(join(dir, file), { recursive: true }),
    async load(host = {}, options = {}) {
      const onUncaught = (error: unknown): never => {
        throw error;
      };
      const app = await loadApp({ dir, sdk: createSdk(host), onUncaught, ...options });
      loaded.push(app);
      return app;
    },
    async remove() {
      for (const app of loaded) app.dispose();
      await temp.remove();
    },
  };
}
