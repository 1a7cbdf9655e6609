// What an audit command works on: the application's log in its database, another database file, or an exported folder; and
// the keys that the application and the command line name.

import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { isPylonError, messageOf } from "../core/errors.ts";
import { isObject } from "../core/json.ts";
import { SILENT_LOG } from "../core/log.ts";
import { portableSha256, type Sha256 } from "../crypto/sha256.ts";
import { formatVerifierKey } from "../crypto/signed-note.ts";
import { type AuditConfig, auditConfig, readSecrets } from "../plugins/audit-log/audit-config.ts";
import { type ExportManifest, exportSource, MANIFEST_FILE, parseManifest } from "../plugins/audit-log/audit-export.ts";
import { createAuditKeys, defaultOrigin } from "../plugins/audit-log/audit-keys.ts";
import { type AuditSource, storeSource } from "../plugins/audit-log/audit-source.ts";
import { AUDIT_TABLES, auditLogEntity } from "../plugins/audit-log/audit-tables.ts";
import { toStoreError } from "../store/sqlite/sqlite-errors.ts";
import { toTableSpec } from "../manifest/tables.ts";
import { cliError } from "./cli-errors.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ParsedArguments } from "./command.ts";
import type { Database } from "./database.ts";
import { joinManifests, loadSource } from "./open-app.ts";
import { readDatabase } from "./read-options.ts";

/** What the application says about its log; undefined when it says nothing. */
export async function readAuditConfig(platform: CliPlatform, dir: string): Promise<AuditConfig | undefined> {
  const { source } = await loadSource({ platform, dir, log: SILENT_LOG });
  try {
    // Only this plugin's part is read: an auditor need not have the variables of the others.
    const manifest = source.manifests.length > 0 ? joinManifests(source) : undefined;
    const plugins: unknown = isObject(manifest) ? manifest.plugins : undefined;
    const entries: readonly unknown[] = Array.isArray(plugins) ? plugins : [];
    const entry = entries.filter(isObject).find(({ name }) => name === "audit_log");
    return entry && auditConfig.safeParse(entry.config ?? {}).data;
  } finally {
    source.dispose();
  }
}

export interface AuditTarget {
  readonly source: AuditSource;
  readonly config: AuditConfig | undefined;
  /** The application's folder; undefined for an export or a file. */
  readonly dir: string | undefined;
  /** The manifest of an export. */
  readonly manifest: ExportManifest | undefined;
  /** For people. */
  readonly name: string;
  close(): Promise<void>;
}

/** Reads a file as text, without ever holding all of it. */
export async function* readText(path: string): AsyncGenerator<string> {
  for await (const chunk of createReadStream(path, { encoding: "utf8", highWaterMark: 256 * 1024 }))
    yield String(chunk);
}

async function openExport(dir: string): Promise<AuditTarget> {
  const manifest = parseManifest(readFileSync(join(dir, MANIFEST_FILE), "utf8"));
  if (!manifest) throw cliError("APP_INVALID", { message: `${join(dir, MANIFEST_FILE)} is no manifest of an export` });
  const source = await exportSource(manifest, (name) => readText(join(dir, name)));
  return { source, config: undefined, dir: undefined, manifest, name: dir, close: async () => undefined };
}

/** @throws STORE_UNSUPPORTED for what is no SQLite file */
async function openFile(platform: CliPlatform, path: string): ReturnType<CliPlatform["openAuditFile"]> {
  try {
    return await platform.openAuditFile(path);
  } catch (error) {
    const coded = toStoreError(error);
    if (!isPylonError(coded, "STORE_FAILED")) throw coded;
    throw cliError("STORE_UNSUPPORTED", {
      message: `Cannot read "${path}": ${messageOf(error)}`,
      hint: "Name the application's folder, its SQLite file, or an exported folder",
      cause: error,
    });
  }
}

async function openDatabase(
  platform: CliPlatform,
  database: Database,
): Promise<Pick<AuditTarget, "source" | "close" | "name">> {
  if (database.kind === "sqlite") {
    if (!existsSync(database.path)) {
      throw cliError("DATABASE_NOT_FOUND", { message: `There is no database at "${database.path}"` });
    }
    const file = await openFile(platform, database.path);
    return { source: file.source, name: database.name, close: async () => file.close() };
  }
  const store = await platform.openStore(database, () => undefined);
  store.describe([toTableSpec(auditLogEntity), ...AUDIT_TABLES]);
  return { source: storeSource(store.reader), name: database.name, close: () => store.close() };
}

/** @throws APP_NOT_FOUND, DATABASE_NOT_FOUND, APP_INVALID */
export async function openAuditTarget(args: ParsedArguments, platform: CliPlatform): Promise<AuditTarget> {
  const path = resolve(platform.cwd, args.positional[0] ?? ".");
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw cliError("APP_NOT_FOUND", { message: `There is nothing at "${path}"` });
  if (stat.isFile()) {
    const opened = await openDatabase(platform, { kind: "sqlite", name: path, path });
    return { ...opened, config: undefined, dir: undefined, manifest: undefined };
  }
  if (existsSync(join(path, MANIFEST_FILE)) && !args.values.has("db")) return openExport(path);
  const config = await readAuditConfig(platform, path);
  const database = readDatabase(args, platform.env, { dir: path, cwd: platform.cwd });
  return { ...(await openDatabase(platform, database)), config, dir: path, manifest: undefined };
}

export interface AuditEvidenceKeys {
  readonly signingKeys: readonly string[];
  readonly verifierKeys: readonly string[];
  /** Absent when there is no log that could have one. */
  readonly origin?: string;
}

/** `--key`: verifier keys, and names of variables with signing keys, with commas between. @throws USAGE */
function readKeyOption({ values }: ParsedArguments, { env }: CliPlatform): { signing: string[]; verifier: string[] } {
  const [signing, verifier]: [string[], string[]] = [[], []];
  for (const word of (values.get("key") ?? "").split(",").filter((part) => part !== "")) {
    if (word.includes("+")) verifier.push(word);
    else if (env[word]) signing.push(env[word]);
    else {
      throw cliError("USAGE", {
        message: "--key is neither a verifier key nor the name of a variable that is set",
        hint: "`pylon audit key` prints the verifier key; a signing key is given as the name of its variable",
      });
    }
  }
  return { signing, verifier };
}

/** Every key that there is to check the log with. */
export async function readKeys(
  args: ParsedArguments,
  platform: CliPlatform,
  { config, manifest, source }: Pick<AuditTarget, "config" | "manifest" | "source">,
  sha256: Sha256 = portableSha256,
): Promise<AuditEvidenceKeys> {
  const given = readKeyOption(args, platform);
  const head = await source.readHead();
  const origin = config?.origin ?? manifest?.origin ?? (head && defaultOrigin(head.logId));
  const named = origin === undefined ? {} : { origin };
  if (!config) return { signingKeys: given.signing, verifierKeys: given.verifier, ...named };
  const secrets = readSecrets(config, platform.env);
  const { noteSigners } = await createAuditKeys(sha256, secrets, origin ?? defaultOrigin(""));
  return {
    signingKeys: [...given.signing, ...(secrets.current === null ? [] : [secrets.current]), ...secrets.previous],
    verifierKeys: [...given.verifier, ...noteSigners.map(formatVerifierKey)],
    ...named,
  };
}
