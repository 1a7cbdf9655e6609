// The folders that make up an application: its own, without what is installed, generated or written while it runs.

import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const IGNORED_FOLDERS: ReadonlySet<string> = new Set(["node_modules", ".pylon", "dist", ".git"]);
/** More than any application has; a folder above it is left out rather than walked for ever. */
const MAX_FOLDERS = 2_000;

/** Whether a folder of this name holds none of the application's sources. */
export function isIgnoredFolder(name: string): boolean {
  return IGNORED_FOLDERS.has(name);
}

/** `dir` and the folders below it, parents first. Symbolic links are not followed. */
export function listAppFolders(dir: string): string[] {
  const folders = [dir];
  for (let next = 0; next < folders.length && folders.length < MAX_FOLDERS; next++) {
    const parent = folders[next] as string;
    for (const name of listSubfolders(parent)) folders.push(join(parent, name));
  }
  return folders.slice(0, MAX_FOLDERS);
}

function listSubfolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !isIgnoredFolder(entry.name))
      .map((entry) => entry.name);
  } catch {
    return [];
  }
}

/** Every file of the application with what tells a changed one from an unchanged one. */
export function fingerprintApp(dir: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const folder of listAppFolders(dir)) {
    for (const file of listFilePaths(folder)) {
      const fingerprint = fingerprintFile(file);
      if (fingerprint !== undefined) files.set(file, fingerprint);
    }
  }
  return files;
}

function listFilePaths(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

function fingerprintFile(file: string): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat?.isFile() ? `${stat.mtimeMs}:${stat.size}:${stat.ino}` : undefined;
}
