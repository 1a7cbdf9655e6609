// `pylon audit verify [DIR]`: says what can be proven of the log, and what cannot. Exit code 0 intact, 1 tampered, 2 cannot
// tell; whatever keeps it from looking is "cannot tell" as well.

import { createHash } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isPylonError } from "../core/errors.ts";
import { parseCheckpoint, parseNote } from "../crypto/signed-note.ts";
import { splitNotes } from "../plugins/audit-log/anchors.ts";
import { CHECKPOINTS_FILE, type ExportManifest } from "../plugins/audit-log/audit-export.ts";
import { type AuditReport, FINDINGS, type Finding, type Verdict } from "../plugins/audit-log/audit-report.ts";
import { verifyAudit } from "../plugins/audit-log/verify-audit.ts";
import { type AuditTarget, openAuditTarget, readKeys } from "./audit-target.ts";
import { usageError } from "./cli-errors.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ExitCode, ParsedArguments, RunCommand } from "./command.ts";
import { createPaint, type Paint, wantsColour } from "./paint.ts";
import { errorDocument, renderError } from "./render-error.ts";

const EXIT_CODES: Readonly<Record<Verdict, ExitCode>> = { intact: 0, tampered: 1, unproven: 2 };
const CANNOT_TELL: ExitCode = 2;
/** Of the same code, on the terminal. */
const MAX_SHOWN = 20;

/** Notes that were kept outside of the database: what `--checkpoint` names, and the application's own file. */
function readNotes(args: ParsedArguments, { cwd }: CliPlatform, target: AuditTarget): readonly string[] {
  const option = args.values.get("checkpoint");
  const given = option === undefined ? [] : [resolve(cwd, option)];
  const missing = given.find((path) => !existsSync(path));
  if (missing !== undefined) throw usageError("audit verify", `There is no checkpoint at "${missing}"`);
  const { config, dir } = target;
  // Another database than the application's own, such as an older backup, is not behind because of what is newer.
  const file = args.values.has("db") ? undefined : config?.checkpoint_file;
  const own = file === undefined || dir === undefined ? [] : [resolve(dir, file)];
  return [...given, ...own.filter((path) => existsSync(path))].flatMap((path) =>
    splitNotes(readFileSync(path, "utf8")),
  );
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

/** Files of an export that are not what its manifest says. */
async function changedFiles(dir: string, { files }: ExportManifest): Promise<string[]> {
  const changed: string[] = [];
  for (const [name, { sha256 }] of Object.entries(files)) {
    const path = join(dir, name);
    if (!existsSync(path) || (await hashFile(path)) !== sha256) changed.push(name);
  }
  return changed;
}

function withFileFindings(report: AuditReport, changed: readonly string[]): AuditReport {
  if (changed.length === 0) return report;
  const findings = changed.map((name): Finding => {
    const { severity, message } = FINDINGS.FILE_MISMATCH;
    return { code: "FILE_MISMATCH", severity, seq: null, count: 1, message: `${message}: ${name}` };
  });
  const sentence =
    report.verdict === "tampered"
      ? report.sentence
      : `The export was tampered with: ${changed.join(", ")} changed after it was written.`;
  return { ...report, verdict: "tampered", provenSize: 0, findings: [...findings, ...report.findings], sentence };
}

function renderFinding({ code, severity, seq, count, message }: Finding, paint: Paint): string {
  const place = seq === null ? "" : ` seq ${seq}${count > 1 ? ` and ${count - 1} more` : ""}`;
  return `${paint(severity === "tampered" ? "red" : "yellow", code)}${place}: ${message}\n`;
}

function renderFindings(findings: readonly Finding[], paint: Paint): string {
  const shown = new Map<string, number>();
  const lines = findings.flatMap((finding) => {
    const count = (shown.get(finding.code) ?? 0) + 1;
    shown.set(finding.code, count);
    return count > MAX_SHOWN ? [] : [renderFinding(finding, paint)];
  });
  const hidden = [...shown].filter(([, count]) => count > MAX_SHOWN);
  return [...lines, ...hidden.map(([code, count]) => `${code}: ${count - MAX_SHOWN} more (--json lists them)\n`)].join(
    "",
  );
}

/** The sentence is the last line. */
function renderReport(report: AuditReport, paint: Paint): string {
  const { checked, size, signed, redacted, pending, checkpoints, retainedFrom, logId } = report;
  const counts = [
    `${checked} entries checked of ${size}`,
    `${signed} signed`,
    `${checkpoints} checkpoints fit`,
    ...(redacted > 0 ? [`${redacted} redacted`] : []),
    ...(pending > 0 ? [`${pending} without a place yet`] : []),
    ...(retainedFrom > 0 ? [`retained from ${retainedFrom}`] : []),
  ];
  const summary = logId === null ? "" : `log ${logId}: ${counts.join(", ")}\n`;
  return `${renderFindings(report.findings, paint)}${summary}${report.sentence}\n`;
}

/** The newest of the given checkpoints that the log fits: what the next verification may begin from. */
async function saveCheckpoint(
  args: ParsedArguments,
  { cwd }: CliPlatform,
  notes: readonly string[],
  size: number,
): Promise<void> {
  const path = args.values.get("save");
  if (path === undefined) return;
  const newest = notes.find((note) => parseCheckpoint(parseNote(note)?.text ?? "")?.size === size);
  if (newest !== undefined) await appendFile(resolve(cwd, path), `${newest}\n`);
}

async function verifyTarget(args: ParsedArguments, platform: CliPlatform, target: AuditTarget): Promise<AuditReport> {
  const { sha256 } = await platform.openRuntime();
  const keys = await readKeys(args, platform, target, sha256);
  const { manifest, name, source } = target;
  const ownNotes =
    manifest && existsSync(join(name, CHECKPOINTS_FILE))
      ? splitNotes(readFileSync(join(name, CHECKPOINTS_FILE), "utf8"))
      : [];
  const kept = readNotes(args, platform, target);
  // An export leaves the database with its checkpoint; who has the verifier key from elsewhere can hold it against it.
  const checkpoints = [...kept, ...(keys.verifierKeys.length + keys.signingKeys.length > 0 ? ownNotes : [])];
  const evidence = { ...keys, checkpoints, incremental: args.switches.has("incremental") };
  const report = await verifyAudit(source, evidence, sha256 ? { sha256 } : {});
  const changed = manifest ? await changedFiles(name, manifest) : [];
  const final = withFileFindings(report, changed);
  if (final.verdict === "intact") await saveCheckpoint(args, platform, checkpoints, final.provenSize);
  return final;
}

export const auditVerify: RunCommand = async (args, platform) => {
  const paint = createPaint(wantsColour(platform.stdout, platform.env));
  const isJson = args.switches.has("json");
  try {
    const target = await openAuditTarget(args, platform);
    try {
      const report = await verifyTarget(args, platform, target);
      platform.stdout.write(isJson ? `${JSON.stringify(report, null, 2)}\n` : renderReport(report, paint));
      return EXIT_CODES[report.verdict];
    } finally {
      await target.close();
    }
  } catch (error) {
    if (isPylonError(error, "USAGE")) throw error;
    if (isJson) platform.stdout.write(`${JSON.stringify(errorDocument(error), null, 2)}\n`);
    else platform.stderr.write(renderError(error, paint));
    return CANNOT_TELL;
  }
};
