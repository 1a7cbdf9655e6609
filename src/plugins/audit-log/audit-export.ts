// An exported log: entries, the tree over them and a manifest, so that a folder can be verified without a database. This is
// the format; files are the caller's.

import { z } from "zod";
import { decodeBase64, encodeBase64 } from "../../crypto/base64.ts";
import { createTreeProofs } from "../../crypto/merkle-tree.ts";
import type { Sha256 } from "../../crypto/sha256.ts";
import type { AuditEntry } from "./audit-entry.ts";
import type { AuditSource } from "./audit-source.ts";
import { auditLogEntity } from "./audit-tables.ts";
import { nodesOf, type Tile, TILE_WIDTH } from "./audit-tiles.ts";
import type { Head } from "./audit-tree.ts";
import { createCsvReader, writeCsvLine } from "./csv.ts";

export const EXPORT_FORMAT = "pylon-audit-export-v1";
export const MANIFEST_FILE = "manifest.json";
/** Tiles of leaves, in order. */
export const LEAVES_FILE = "leaves.ndjson";
/** Tiles above the leaves. */
export const TILES_FILE = "tiles.ndjson";
export const CHECKPOINTS_FILE = "checkpoints.txt";
export type EntriesFormat = "ndjson" | "csv";
export const ENTRIES_FORMATS: readonly EntriesFormat[] = ["ndjson", "csv"];

/** In the order of the seeds, the place first. */
const COLUMNS = ["seq", "id", ...auditLogEntity.fields.map(({ name }) => name).filter((name) => name !== "seq")];

const fileSchema = z.strictObject({ sha256: z.string().length(64), bytes: z.number().int().min(0) });

const manifestSchema = z.strictObject({
  format: z.literal(EXPORT_FORMAT),
  logId: z.string(),
  origin: z.string(),
  /** Entries from here up to `size`, exclusive. */
  from: z.number().int().min(0),
  size: z.number().int().min(0),
  /** The root of the tree of `size` leaves, base64, and its compact range. */
  root: z.string(),
  frontier: z.string(),
  entries: z.enum(["ndjson", "csv"]),
  verifierKey: z.string().nullable(),
  exportedAt: z.string(),
  files: z.record(z.string(), fileSchema),
});

export type ExportManifest = z.infer<typeof manifestSchema>;

/** Undefined when the text is none. */
export function parseManifest(text: string): ExportManifest | undefined {
  try {
    return manifestSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

export function entriesFile(format: EntriesFormat): string {
  return `entries.${format}`;
}

/** The first line of a CSV file. */
export function entriesHeader(format: EntriesFormat): string {
  return format === "csv" ? writeCsvLine(COLUMNS) : "";
}

export function writeEntry(format: EntriesFormat, entry: AuditEntry): string {
  const values = entry as unknown as Readonly<Record<string, string | number | null>>;
  if (format === "csv") return writeCsvLine(COLUMNS.map((name) => values[name] ?? null));
  return `${JSON.stringify(Object.fromEntries(COLUMNS.map((name) => [name, values[name] ?? null])))}\n`;
}

function toEntry(values: readonly (string | null)[]): AuditEntry {
  const pairs = COLUMNS.map((name, index): [string, unknown] => {
    const value = values[index] ?? null;
    return [name, name === "seq" && value !== null ? Number(value) : value];
  });
  return Object.fromEntries(pairs) as unknown as AuditEntry;
}

type Chunks = AsyncIterable<string>;

async function* linesOf(chunks: Chunks): AsyncGenerator<string[]> {
  let rest = "";
  for await (const chunk of chunks) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    if (lines.length > 0) yield lines;
  }
}

function parseLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    // What cannot be read is missing, and that is what is found.
    return {};
  }
}

async function* readEntries(format: EntriesFormat, chunks: Chunks): AsyncGenerator<readonly AuditEntry[]> {
  if (format === "ndjson") {
    for await (const lines of linesOf(chunks)) yield lines.map((line) => parseLine(line) as unknown as AuditEntry);
    return;
  }
  const reader = createCsvReader();
  let isHeader = true;
  for await (const chunk of chunks) {
    const records = reader.push(chunk);
    const entries = records.slice(isHeader && records.length > 0 ? 1 : 0).map(toEntry);
    if (records.length > 0) isHeader = false;
    if (entries.length > 0) yield entries;
  }
}

/** Where a stretch of the log begins, in whole tiles, and what there is above it. */
export function writeTile(level: number, index: number, { hashes, requests, seal }: Tile): string {
  return `${JSON.stringify({ level, index, hashes: encodeBase64(hashes), requests, seal })}\n`;
}

interface PlacedTile extends Tile {
  readonly level: number;
  readonly index: number;
}

function parseTile(line: string): PlacedTile {
  const { level, index, hashes, requests, seal } = parseLine(line);
  return {
    level: Number(level),
    index: Number(index),
    hashes: decodeBase64(typeof hashes === "string" ? hashes : "") ?? new Uint8Array(0),
    requests: typeof requests === "string" ? requests : null,
    seal: typeof seal === "string" ? seal : null,
  };
}

/** The tiles of leaves in the order of the file: a verifier asks for one after the other. */
function createLeafTiles(open: () => Chunks): (index: number) => Promise<Tile | undefined> {
  const tiles = (async function* () {
    for await (const lines of linesOf(open())) for (const line of lines) yield parseTile(line);
  })();
  let current: PlacedTile | undefined;
  return async (index) => {
    while (!current || current.index < index) {
      const next = await tiles.next();
      if (next.done) return undefined;
      current = next.value;
    }
    return current.index === index ? current : undefined;
  };
}

function isPlace(seq: unknown, from: number): boolean {
  return typeof seq === "number" && Number.isSafeInteger(seq) && seq >= from;
}

/** Opens a file of the export. */
export type OpenFile = (name: string) => Chunks;

/** An export as a source. Its manifest is as untrusted as everything else of it. */
export async function exportSource(manifest: ExportManifest, open: OpenFile): Promise<AuditSource> {
  const upper = new Map<string, Tile>();
  for await (const lines of linesOf(open(TILES_FILE))) {
    for (const tile of lines.map(parseTile)) upper.set(`${tile.level}/${tile.index}`, tile);
  }
  const leafTile = createLeafTiles(() => open(LEAVES_FILE));
  const { logId, size, from } = manifest;
  const head: Head = { logId, size, frontier: decodeBase64(manifest.frontier) ?? new Uint8Array(0) };
  return {
    isSnapshot: true,
    startsAt: from,
    readHead: async () => head,
    firstSeq: async () => (size > from ? from : undefined),
    async *readEntries(first) {
      for await (const batch of readEntries(manifest.entries, open(entriesFile(manifest.entries)))) {
        // What has no place of this export is among the first.
        const wanted = batch.filter(({ seq }) => Number(seq) >= first || (first <= from && !isPlace(seq, from)));
        if (wanted.length > 0) yield wanted;
      }
    },
    // Where entries are read, these are among them.
    readMisplaced: async () => [],
    async *readPending() {
      // Only what has a place is exported.
    },
    readTile: (level, index) => (level === 0 ? leafTile(index) : Promise.resolve(upper.get(`${level}/${index}`))),
    async *readCheckpoints() {
      // Those of the export are held against it as evidence.
    },
  };
}

/** The tiles that a reader of entries from `from` on needs: those of its leaves, and all above. */
export async function* tilesOf(
  source: AuditSource,
  from: number,
  size: number,
): AsyncGenerator<[number, number, Tile]> {
  for (let level = 0, width = TILE_WIDTH; ; level += 1, width *= TILE_WIDTH) {
    const nodes = Math.floor(size / (width / TILE_WIDTH));
    if (nodes === 0) return;
    const first = level === 0 ? Math.floor(from / TILE_WIDTH) : 0;
    for (let index = first; index * TILE_WIDTH < nodes; index++) {
      const tile = await source.readTile(level, index);
      if (tile) yield [level, index, tile];
    }
  }
}

/** The tree of `size` leaves, as it is now. A log that grows while it is exported is cut there. */
export async function rootOf(source: AuditSource, sha256: Sha256, size: number): Promise<string> {
  const proofs = createTreeProofs(sha256, nodesOf(sha256, source.readTile));
  return encodeBase64((await proofs.rangeAt(size)).root());
}
