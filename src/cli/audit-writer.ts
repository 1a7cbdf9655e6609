// The application's log, open for the commands that add to it. It may be served at the same time.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { createSystemClock } from "../core/clock.ts";
import { createUlidSource } from "../core/ids.ts";
import { portableSha256, type Sha256 } from "../crypto/sha256.ts";
import { toTableSpec } from "../manifest/tables.ts";
import type { AuditConfig } from "../plugins/audit-log/audit-config.ts";
import { type AuditLog, openAuditLog } from "../plugins/audit-log/audit-log.ts";
import { auditLogEntity, AUDIT_TABLES } from "../plugins/audit-log/audit-tables.ts";
import { type Checkpoints, createCheckpoints } from "../plugins/audit-log/checkpoints.ts";
import type { Store } from "../store/store.ts";
import { readAuditConfig } from "./audit-target.ts";
import { cliError } from "./cli-errors.ts";
import type { CliPlatform } from "./cli-platform.ts";
import type { ParsedArguments } from "./command.ts";
import { readAppDir, readDatabase } from "./read-options.ts";

export interface AuditWriter {
  readonly store: Store;
  readonly log: AuditLog;
  readonly checkpoints: Checkpoints;
  readonly config: AuditConfig;
  readonly sha256: Sha256;
}

function missingVariable(
  { signing_key_env, log_key_env, sign_entries }: AuditConfig,
  { env }: CliPlatform,
): string | undefined {
  const needed = [...(sign_entries ? [signing_key_env] : []), log_key_env];
  return needed.find((name) => name !== undefined && !env[name]);
}

/** @throws APP_INVALID without the plugin, DATABASE_NOT_FOUND, CONFIG_ENV_MISSING */
async function readWritable(
  args: ParsedArguments,
  platform: CliPlatform,
): Promise<{ dir: string; config: AuditConfig }> {
  const dir = readAppDir(args, platform);
  const config = await readAuditConfig(platform, dir);
  if (!config) {
    throw cliError("APP_INVALID", {
      message: "The application has no audit_log plugin, or its configuration does not fit",
      hint: "`pylon check` says what is wrong",
    });
  }
  const missing = missingVariable(config, platform);
  if (missing !== undefined) {
    throw cliError("APP_INVALID", {
      message: `The environment variable is not set: ${missing}`,
      hint: "Set it to the key that the server uses",
    });
  }
  return { dir, config };
}

/** Opens the log, hands it to `run`, and closes it again. */
export async function withAuditWriter<T>(
  args: ParsedArguments,
  platform: CliPlatform,
  run: (writer: AuditWriter) => Promise<T>,
): Promise<T> {
  const { dir, config } = await readWritable(args, platform);
  const database = readDatabase(args, platform.env, { dir, cwd: platform.cwd });
  if (database.kind === "sqlite" && !existsSync(database.path)) {
    throw cliError("DATABASE_NOT_FOUND", { message: `There is no database at "${database.path}"` });
  }
  const { sha256 = portableSha256, appendFile } = await platform.openRuntime();
  const store = await platform.openStore(database, () => undefined);
  try {
    store.describe([toTableSpec(auditLogEntity), ...AUDIT_TABLES]);
    const clock = createSystemClock();
    const log = await openAuditLog({ store, config, env: platform.env, sha256, clock, ulid: createUlidSource() });
    const publish = async (note: string): Promise<void> => {
      const { checkpoint_file: path } = config;
      if (path !== undefined) await appendFile?.(resolve(dir, path), `${note}\n`);
    };
    const checkpoints = createCheckpoints({ store, log, sha256, publish });
    return await run({ store, log, checkpoints, config, sha256 });
  } finally {
    await store.close();
  }
}
