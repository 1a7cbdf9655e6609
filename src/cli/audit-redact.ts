// `pylon audit redact [DIR] --entity E --row ID --reason TEXT`: erases what the log holds of one row and records that.

import { createSystemClock } from "../core/clock.ts";
import { redactRow } from "../plugins/audit-log/redact.ts";
import { withAuditWriter } from "./audit-writer.ts";
import { countOf } from "./banner.ts";
import { usageError } from "./cli-errors.ts";
import type { ParsedArguments, RunCommand } from "./command.ts";

/** @throws USAGE */
function required({ values }: ParsedArguments, name: string): string {
  const value = values.get(name);
  if (value !== undefined) return value;
  throw usageError("audit redact", `\`pylon audit redact\` needs --${name}`);
}

export const auditRedact: RunCommand = (args, platform) => {
  const target = { entity: required(args, "entity"), rowId: required(args, "row"), reason: required(args, "reason") };
  return withAuditWriter(args, platform, async ({ store, log }) => {
    const redacted = await redactRow({ store, log, clock: createSystemClock() }, target);
    const text =
      redacted === 0
        ? `The log holds nothing of ${target.entity} ${target.rowId}`
        : `Redacted ${countOf(redacted, "entry", "entries")} of ${target.entity} ${target.rowId}; their commitments are kept`;
    platform.stdout.write(
      args.switches.has("json") ? `${JSON.stringify({ ...target, redacted }, null, 2)}\n` : `${text}\n`,
    );
    return redacted === 0 ? 1 : 0;
  });
};
