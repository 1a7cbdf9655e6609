// `pylon audit key [DIR]`: prints the key that checks the log's checkpoints. It is public.

import { formatVerifierKey } from "../crypto/signed-note.ts";
import { auditError } from "../plugins/audit-log/audit-errors.ts";
import { withAuditWriter } from "./audit-writer.ts";
import type { RunCommand } from "./command.ts";

export const auditKey: RunCommand = (args, platform) =>
  withAuditWriter(args, platform, async ({ log }) => {
    if (!log.keys.noteSigner) throw auditError("AUDIT_NO_KEY");
    const key = formatVerifierKey(log.keys.noteSigner);
    const document = { key, origin: log.origin, signingKeyId: log.keys.signing?.id ?? null };
    platform.stdout.write(args.switches.has("json") ? `${JSON.stringify(document, null, 2)}\n` : `${key}\n`);
    return 0 as const;
  });
