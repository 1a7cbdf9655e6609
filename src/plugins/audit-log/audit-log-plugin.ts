// The `audit_log` plugin (seeds): every write to the chosen entities leaves an entry, in the same transaction. An entry that
// cannot be written takes the write with it.

import { messageOf } from "../../core/errors.ts";
import type { Json } from "../../core/json.ts";
import type { Change } from "../../data/change.ts";
import type { EntityCodec } from "../../data/entity-input.ts";
import { definePluginType, type Plugin, type PluginHost } from "../../plugin/plugin.ts";
import type { Row } from "../../store/store.ts";
import { type AuditConfig, auditConfig, checkAuditConfig } from "./audit-config.ts";
import { auditError } from "./audit-errors.ts";
import { openAuditLog } from "./audit-log.ts";
import { auditRoutes } from "./audit-routes.ts";
import { AUDIT_TABLES, auditLogEntity } from "./audit-tables.ts";
import { createCheckpointJob, createCheckpoints } from "./checkpoints.ts";
import type { EntryDraft } from "./entry-maker.ts";
import { createRetention } from "./retention.ts";
import { createSequencer } from "./sequencer.ts";

type Show = (codec: EntityCodec, row: Row | null) => string | null;

/** The text of a row as the log keeps it. What is excluded goes no further than here. */
function createShow({ include_fields: included, exclude_fields: excluded }: AuditConfig): Show {
  const isShown = (name: string): boolean =>
    !excluded.includes(name) && (included === "*" || name === "id" || included.includes(name));
  const shownOf = new Map<EntityCodec, readonly string[]>();
  return (codec, row) => {
    if (!row) return null;
    let shown = shownOf.get(codec);
    if (!shown) {
      shown = ["id", ...codec.entity.fields.map(({ name }) => name)].filter(isShown);
      shownOf.set(codec, shown);
    }
    if (shown.length > codec.entity.fields.length) return codec.toText(row);
    const json = codec.toJson(row) as Readonly<Record<string, Json>>;
    const kept: Record<string, Json> = {};
    for (const name of shown) kept[name] = json[name] ?? null;
    return JSON.stringify(kept);
  };
}

function draftOf(change: Change, codec: EntityCodec, show: Show): EntryDraft {
  return {
    actor: change.actor,
    requestId: change.requestId,
    entity: change.entity,
    rowId: change.id,
    operation: change.op,
    before: show(codec, change.before),
    after: show(codec, change.after),
    at: change.at,
  };
}

/** @throws AUDIT_FILE_UNWRITABLE: whoever believes that checkpoints are kept has to hear at once that they are not. */
async function openPublisher(
  { checkpoint_file: path }: AuditConfig,
  { appendFile }: PluginHost,
): Promise<(note: string) => Promise<void>> {
  if (path === undefined) return async () => undefined;
  if (!appendFile) throw auditError("AUDIT_NO_FILES");
  await appendFile(path, "").catch((cause: unknown) => {
    throw auditError("AUDIT_FILE_UNWRITABLE", {
      message: `Cannot append to the checkpoint_file "${path}": ${messageOf(cause)}`,
      cause,
    });
  });
  let last: string | undefined;
  return async (note) => {
    if (note === last) return;
    await appendFile(path, `${note}\n`);
    last = note;
  };
}

export const auditLogPlugin: Plugin = definePluginType({
  name: "audit_log",
  config: auditConfig,
  entities: [{ def: auditLogEntity, readOnly: true, unheard: true }],
  tables: AUDIT_TABLES,
  check: checkAuditConfig,
  async setup(config, host) {
    const { store, env, sha256, clock, ulid } = host;
    const publish = await openPublisher(config, host);
    const log = await openAuditLog({ store, config, env, sha256, clock, ulid });
    const show = createShow(config);
    const checkpoints = createCheckpoints({ store, log, sha256, publish });
    const sequencer = log.sequencing === "later" ? createSequencer(log, host.log) : undefined;
    // What a process that is gone has left behind.
    sequencer?.wake();
    const retention = createRetention({ store, log, sha256, clock, config });
    return {
      hooks: {
        entities: new Set([...config.entities, ...host.auditedEntities]),
        within: (change, tx) => log.record(tx, draftOf(change, host.data().model.entity(change.entity).codec, show)),
        ...(sequencer ? { after: () => sequencer.wake() } : {}),
      },
      jobs: [createCheckpointJob(checkpoints)],
      routes: auditRoutes({ store, log, checkpoints, sha256, data: () => host.data() }),
      sweeps: [...(sequencer ? [(limit: number) => sequencer.sweep(limit)] : []), retention],
      close: () => sequencer?.close(),
    };
  },
});
