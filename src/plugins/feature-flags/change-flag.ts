// An administrator's change of a flag: checked as a whole, written as an entity's row with everything that hooks add to it,
// and live in this process before it is answered.

import type { Clock } from "../../core/clock.ts";
import { coreError, messageOf } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import type { Log } from "../../core/log.ts";
import { readWithSchema } from "../../manifest/schema-problems.ts";
import type { Data, DataWriter } from "../../data/data.ts";
import type { Scope } from "../../data/scope.ts";
import type { RouteAnswer, RouteRequest } from "../../plugin/route.ts";
import { compileFlag } from "./compile-flag.ts";
import { describeFlag } from "./describe-flag.ts";
import {
  applyChanges,
  completeChanges,
  decodeChanges,
  encodeChanges,
  FLAG_ENTITY,
  type StoredChanges,
} from "./flag-changes.ts";
import { type FlagChanges, type FlagDefinition, flagDefinition } from "./flag-definition.ts";
import type { FlagUse } from "./flag-use.ts";
import { flagError } from "./flag-errors.ts";
import { loadEngine, type LiveFlags } from "./live-flags.ts";

export interface ChangeFlagOptions {
  readonly live: LiveFlags;
  readonly configured: ReadonlyMap<string, FlagDefinition>;
  readonly data: () => Data;
  /** How often flags were evaluated. */
  readonly readUses: () => Promise<(name: string) => FlagUse>;
  readonly clock: Clock;
  readonly log: Log;
}

/** The definition that a change leads to. @throws VALIDATION_FAILED with every problem */
async function checkChange(configured: FlagDefinition, changes: FlagChanges, name: string): Promise<FlagDefinition> {
  const read = readWithSchema(flagDefinition, applyChanges(configured, changes), { unknownKey: "Unknown field" });
  if (!read.ok) throw coreError("VALIDATION_FAILED", { details: read.problems });
  const engine = await loadEngine([read.value]);
  try {
    compileFlag(name, read.value, engine);
  } catch (error) {
    const details = [{ path: "rules", message: "A pattern is not in RE2 syntax" }];
    throw coreError("VALIDATION_FAILED", { details, cause: error });
  }
  return read.value;
}

/** Pylon's own write on behalf of whoever asks. */
function scopeOf({ identity, requestId }: RouteRequest): Scope {
  return { actor: identity, policies: false, requestId, internal: true };
}

function nameOf({ userId, kind }: Identity): string {
  return userId ?? kind;
}

interface Saved {
  readonly stored: StoredChanges;
  readonly definition: FlagDefinition;
}

/** Writes a change over those before it, as an entity's row. */
async function saveChange(
  writer: DataWriter,
  configured: FlagDefinition,
  change: {
    readonly name: string;
    readonly changes: FlagChanges;
    readonly actor: Identity;
    readonly at: string;
  },
): Promise<Saved> {
  const { name, actor, at } = change;
  const earlier = await writer.lookup(FLAG_ENTITY, "name", name);
  const before = earlier ? decodeChanges(earlier).changes : {};
  const changes = { ...before, ...change.changes };
  const definition = await checkChange(configured, changes, name);
  const row = { changes: encodeChanges(changes), updatedBy: nameOf(actor), updatedAt: at };
  const saved = earlier
    ? await writer.update(FLAG_ENTITY, earlier.id, row)
    : await writer.insert(FLAG_ENTITY, { name, ...row });
  if (!saved) throw flagError("FLAG_NOT_FOUND");
  return { stored: decodeChanges(saved), definition };
}

/** The write is committed: whoever made it is not told that it failed because it could not be read back at once. */
async function reloadQuietly({ live, log }: ChangeFlagOptions): Promise<void> {
  try {
    await live.reload();
  } catch (error) {
    log.warn("flags.refresh_failed", { message: messageOf(error) });
  }
}

/**
 * Stores a change, makes it live in this process, and answers the flag as it is then.
 *
 * @throws FLAG_NOT_FOUND, VALIDATION_FAILED
 */
export async function changeFlag(
  options: ChangeFlagOptions,
  request: RouteRequest<unknown, FlagChanges>,
): Promise<RouteAnswer> {
  const { identity, requestId, params, body, receipt } = request;
  const name = params.name ?? "";
  const configured = options.configured.get(name);
  if (!configured) throw flagError("FLAG_NOT_FOUND");
  const changes = completeChanges(body);
  // A pattern's engine is loaded ahead of the transaction, which must wait for nothing.
  await checkChange(configured, changes, name).catch(() => undefined);
  const use = (await options.readUses())(name);
  const nowMs = options.clock.now();
  const answer = await options.data().write(
    scopeOf(request),
    async (writer) => {
      const at = new Date(nowMs).toISOString();
      const { stored, definition } = await saveChange(writer, configured, { name, changes, actor: identity, at });
      const json = describeFlag({ name, definition, stored, use }, nowMs);
      await receipt?.commit(writer.tx, { status: 200, json });
      return { status: 200, json };
    },
    { exclusive: true },
  );
  options.log.info("flags.changed", { flag: name, keys: Object.keys(changes), by: nameOf(identity), requestId });
  await reloadQuietly(options);
  return answer;
}

/** Forgets what was changed about a flag; answers whether there was anything. @throws FLAG_NOT_FOUND */
export async function resetFlag(options: ChangeFlagOptions, request: RouteRequest): Promise<RouteAnswer> {
  const { identity, requestId, params, receipt } = request;
  const name = params.name ?? "";
  if (!options.configured.has(name)) throw flagError("FLAG_NOT_FOUND");
  const answer = await options.data().write(scopeOf(request), async (writer) => {
    const row = await writer.lookup(FLAG_ENTITY, "name", name);
    const reset = row !== null && (await writer.delete(FLAG_ENTITY, row.id)) !== null;
    const made = { status: 200, json: { reset } };
    await receipt?.commit(writer.tx, made);
    return made;
  });
  if (answer.json.reset) options.log.info("flags.reset", { flag: name, by: nameOf(identity), requestId });
  await reloadQuietly(options);
  return answer;
}
