// `pylon audit checkpoint [DIR]`: prints a signed checkpoint of the log as it is now, for keeping it elsewhere.

import { withAuditWriter } from "./audit-writer.ts";
import type { RunCommand } from "./command.ts";

export const auditCheckpoint: RunCommand = (args, platform) =>
  withAuditWriter(args, platform, async ({ checkpoints }) => {
    const { note, size } = await checkpoints.current();
    platform.stdout.write(
      args.switches.has("json") ? `${JSON.stringify({ size, checkpoint: note }, null, 2)}\n` : note,
    );
    return 0 as const;
  });
