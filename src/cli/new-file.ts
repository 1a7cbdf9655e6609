// Makes a file that is there whole, on the disk, or not at all; one that exists is never written over. Until it is whole it
// has another name beside its own.

import { closeSync, existsSync, fsyncSync, linkSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isPylonError, messageOf } from "../core/errors.ts";
import { cliError } from "./cli-errors.ts";

const OWNER_ONLY = 0o600;
/** File systems without hard links say one of these (link(2), and what FUSE and Windows make of it). */
const NO_LINKS: ReadonlySet<unknown> = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined);

/** Waits until a file's bytes, or a folder's names, are on the disk. */
function sync(path: string, flags: "r" | "r+"): void {
  const descriptor = openSync(path, flags);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function syncFolder(path: string): void {
  try {
    sync(path, "r");
  } catch (error) {
    // Windows opens no folders, and some network file systems do not sync them.
    if (!["EPERM", "EACCES", "EISDIR", "EINVAL", "ENOTSUP"].includes(String(codeOf(error)))) throw error;
  }
}

/** Gives the file its name unless another has it. */
function publish(partial: string, file: string): void {
  try {
    linkSync(partial, file);
    rmSync(partial);
  } catch (error) {
    if (!NO_LINKS.has(codeOf(error))) throw error;
    // Takes the name, or finds it taken.
    closeSync(openSync(file, "wx", OWNER_ONLY));
    renameSync(partial, file);
  }
}

function toFileError(file: string, error: unknown): unknown {
  if (isPylonError(error)) return error;
  if (codeOf(error) === "EEXIST") return fileExists(file);
  return cliError("FILES_UNWRITABLE", {
    message: `Cannot write "${file}": ${messageOf(error)}`,
    hint: "Check that its folder exists, can be written and has room",
    cause: error,
  });
}

function fileExists(file: string): Error {
  return cliError("FILES_EXIST", { message: `There is something at "${file}" already`, hint: "Choose another name" });
}

/** Fills, syncs and names the file; whatever fails, the unfinished one is gone. */
async function complete(partial: string, file: string, fill: (partial: string) => Promise<void>): Promise<void> {
  try {
    await fill(partial);
    sync(partial, "r+");
    publish(partial, file);
    syncFolder(dirname(file));
  } catch (error) {
    rmSync(partial, { force: true });
    throw error;
  }
}

/**
 * `fill` writes into an empty file that only its owner may read, whose path it is given. Returns the number of bytes.
 *
 * @throws FILES_EXIST, FILES_UNWRITABLE, and what `fill` throws; nothing is left behind then
 */
export async function makeNewFile(file: string, fill: (partial: string) => Promise<void>): Promise<number> {
  if (existsSync(file)) throw fileExists(file);
  const partial = `${file}.${crypto.randomUUID().slice(0, 8)}.partial`;
  try {
    closeSync(openSync(partial, "wx", OWNER_ONLY));
    await complete(partial, file, fill);
    return statSync(file).size;
  } catch (error) {
    throw toFileError(file, error);
  }
}
