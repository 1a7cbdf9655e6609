// `pylon audit export [DIR]`: the log as NDJSON or CSV, on standard output, or with `--to` as a folder that can be verified
// without a database.

import { createHash } from "node:crypto";
import { createWriteStream, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { encodeBase64 } from "../crypto/base64.ts";
import { createTreeProofs } from "../crypto/merkle-tree.ts";
import { portableSha256 } from "../crypto/sha256.ts";
import { normalizeDatetime } from "../manifest/datetime-text.ts";
import {
  CHECKPOINTS_FILE,
  ENTRIES_FORMATS,
  type EntriesFormat,
  entriesFile,
  entriesHeader,
  EXPORT_FORMAT,
  type ExportManifest,
  LEAVES_FILE,
  MANIFEST_FILE,
  rootOf,
  TILES_FILE,
  tilesOf,
  writeEntry,
  writeTile,
} from "../plugins/audit-log/audit-export.ts";
import { defaultOrigin } from "../plugins/audit-log/audit-keys.ts";
import type { AuditSource } from "../plugins/audit-log/audit-source.ts";
import { nodesOf } from "../plugins/audit-log/audit-tiles.ts";
import { type Head } from "../plugins/audit-log/audit-tree.ts";
import { type AuditTarget, openAuditTarget, readKeys } from "./audit-target.ts";
import { cliError, usageError } from "./cli-errors.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ParsedArguments, RunCommand } from "./command.ts";

const NAME = "audit export";

/** @throws USAGE */
function readFormat({ values }: ParsedArguments): EntriesFormat {
  const format = values.get("format") ?? "ndjson";
  const known = ENTRIES_FORMATS.find((name) => name === format);
  if (known) return known;
  throw usageError(NAME, `--format is ndjson or csv, not "${format.slice(0, 40)}"`);
}

/** The folder to make; undefined: standard output. @throws USAGE, STORE_UNSUPPORTED */
function readTarget({ values, switches }: ParsedArguments, { cwd }: CliPlatform): string | undefined {
  const target = values.get("to");
  if (target === undefined && switches.has("json")) {
    throw usageError(NAME, "--json needs --to FOLDER: without it the entries themselves are printed");
  }
  if (target === undefined) return undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(target)) {
    throw cliError("EXPORT_TARGET_UNSUPPORTED", {
      message: "--to is a folder of this machine: this build does not write to object storage",
      hint: "Export to a folder and copy it there",
    });
  }
  const path = resolve(cwd, target);
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw cliError("FILES_EXIST", {
      message: `There is something at "${path}"`,
      hint: "Name a folder that is empty or new",
    });
  }
  return path;
}

/** A place in the log, or a time as ISO 8601; undefined: its beginning. @throws USAGE */
function readSince({ values }: ParsedArguments): number | string | undefined {
  const since = values.get("since");
  if (since === undefined) return undefined;
  if (/^\d{1,15}$/.test(since)) return Number(since);
  const time = normalizeDatetime(/^\d{4}-\d{2}-\d{2}$/.test(since) ? `${since}T00:00:00Z` : since);
  if (time === undefined) throw usageError(NAME, "--since is a place in the log, or an ISO 8601 time");
  return time;
}

interface Wanted {
  readonly format: EntriesFormat;
  /** The folder to make; undefined: standard output. */
  readonly dir: string | undefined;
  readonly since: number | string | undefined;
}

/** The first entry of the export: that of a place, or the first that was written at a time or later. */
async function findStart(since: Wanted["since"], source: AuditSource, head: Head): Promise<number> {
  const first = Math.max((await source.firstSeq()) ?? source.startsAt, source.startsAt);
  if (since === undefined) return first;
  if (typeof since === "number") return Math.min(Math.max(since, first), head.size);
  for await (const batch of source.readEntries(first)) {
    const found = batch.find(({ createdAt }) => createdAt >= since);
    if (found) return found.seq ?? first;
  }
  return head.size;
}

/** Writes a file piece by piece, and knows its digest. */
interface DigestedFile {
  write(text: string): Promise<void>;
  end(): Promise<{ readonly sha256: string; readonly bytes: number }>;
}

function openDigestedFile(path: string): DigestedFile {
  const stream = createWriteStream(path, { flags: "wx", flush: true });
  const hash = createHash("sha256");
  let bytes = 0;
  const failed = new Promise<never>((_, reject) => stream.once("error", reject));
  failed.catch(() => undefined);
  return {
    async write(text) {
      hash.update(text);
      bytes += Buffer.byteLength(text);
      if (!stream.write(text)) await Promise.race([once(stream, "drain"), failed]);
    },
    async end() {
      stream.end();
      await Promise.race([once(stream, "finish"), failed]);
      return { sha256: hash.digest("hex"), bytes };
    },
  };
}

interface Stretch {
  readonly source: AuditSource;
  readonly head: Head;
  readonly from: number;
  readonly format: EntriesFormat;
}

async function writeEntries(
  { source, head, from, format }: Stretch,
  write: (text: string) => Promise<void>,
): Promise<number> {
  let count = 0;
  await write(entriesHeader(format));
  for await (const batch of source.readEntries(from)) {
    const wanted = batch.filter(({ seq }) => seq !== null && seq < head.size);
    if (wanted.length > 0) await write(wanted.map((entry) => writeEntry(format, entry)).join(""));
    count += wanted.length;
    if (wanted.length < batch.length) break;
  }
  return count;
}

/** The newest stored checkpoint of a tree of at most `size` leaves. */
async function newestCheckpoint(source: AuditSource, size: number): Promise<string | undefined> {
  let newest: string | undefined;
  for await (const { id, note } of source.readCheckpoints(0)) if (Number(id) <= size) newest = note;
  return newest;
}

async function writeFolder(
  dir: string,
  stretch: Stretch,
  keys: { origin: string; verifierKey: string | null },
): Promise<number> {
  const { source, head, from, format } = stretch;
  mkdirSync(dir, { recursive: true });
  const files: Record<string, { sha256: string; bytes: number }> = {};
  const write = async (name: string, fill: (file: DigestedFile) => Promise<void>): Promise<void> => {
    const file = openDigestedFile(join(dir, name));
    await fill(file);
    files[name] = await file.end();
  };
  let count = 0;
  await write(entriesFile(format), async (file) => {
    count = await writeEntries(stretch, (text) => file.write(text));
  });
  const writeTiles =
    (wanted: (level: number) => boolean) =>
    async (file: DigestedFile): Promise<void> => {
      for await (const [level, index, tile] of tilesOf(source, from, head.size)) {
        if (wanted(level)) await file.write(writeTile(level, index, tile));
      }
    };
  await write(
    LEAVES_FILE,
    writeTiles((level) => level === 0),
  );
  await write(
    TILES_FILE,
    writeTiles((level) => level > 0),
  );
  const note = await newestCheckpoint(source, head.size);
  if (note !== undefined) await write(CHECKPOINTS_FILE, (file) => file.write(`${note}\n`));
  const manifest: ExportManifest = {
    format: EXPORT_FORMAT,
    logId: head.logId,
    origin: keys.origin,
    from,
    size: head.size,
    root: await rootOf(source, portableSha256, head.size),
    frontier: encodeBase64(
      (await createTreeProofs(portableSha256, nodesOf(portableSha256, source.readTile)).rangeAt(head.size)).encode(),
    ),
    entries: format,
    verifierKey: keys.verifierKey,
    exportedAt: new Date().toISOString(),
    files,
  };
  // Last: a folder with a manifest is complete.
  writeFileSync(join(dir, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`, { flag: "wx" });
  return count;
}

async function exportTarget(
  { format, dir, since }: Wanted,
  args: ParsedArguments,
  platform: CliPlatform,
  target: AuditTarget,
): Promise<void> {
  const { source } = target;
  const head = await source.readHead();
  if (!head) throw cliError("APP_INVALID", { message: "There is no audit log here" });
  const stretch: Stretch = { source, head, from: await findStart(since, source, head), format };
  if (dir === undefined) {
    await writeEntries(stretch, async (text) => platform.stdout.write(text));
    return;
  }
  const { origin = defaultOrigin(head.logId), verifierKeys } = await readKeys(args, platform, target);
  const count = await writeFolder(dir, stretch, { origin, verifierKey: verifierKeys[0] ?? null });
  const document = { folder: dir, from: stretch.from, size: head.size, entries: count, format };
  platform.stdout.write(
    args.switches.has("json") ? `${JSON.stringify(document, null, 2)}\n` : `Exported ${count} entries to ${dir}\n`,
  );
}

export const auditExport: RunCommand = async (args, platform) => {
  const wanted = { format: readFormat(args), dir: readTarget(args, platform), since: readSince(args) };
  const target = await openAuditTarget(args, platform);
  try {
    await exportTarget(wanted, args, platform, target);
    return 0;
  } finally {
    await target.close();
  }
};
