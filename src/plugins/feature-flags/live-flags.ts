// Keeps the flags of a process what the store says they are: a revision is read a few times a second, and a new one loads
// all changes again. While the store is away, the flags that were known last are answered.

import type { Clock } from "../../core/clock.ts";
import { messageOf } from "../../core/errors.ts";
import type { Log } from "../../core/log.ts";
import type { HmacSigner } from "../../crypto/hmac.ts";
import { startRepeatingTask, type RepeatingTask } from "../../jobs/repeating-task.ts";
import type { Reader } from "../../store/store.ts";
import type { PatternEngine } from "./condition-operators.ts";
import { applyChanges, readChanges, type StoredChanges } from "./flag-changes.ts";
import type { FlagDefinition } from "./flag-definition.ts";
import type { FlagUse } from "./flag-use.ts";
import { createFlagSet, type FlagSet, type FlagSource } from "./served-flags.ts";

/** In the store's meta: changes with every change of a flag, in the same transaction. */
export const REVISION_KEY = "feature_flags.revision";

/** A change is live everywhere within a second; this leaves most of it to a slow store. */
const POLL_MS = 250;
const RETRY_MS = 500;
const VERSION_CHARS = 16;

export interface LiveFlagsOptions {
  readonly configured: ReadonlyMap<string, FlagDefinition>;
  readonly reader: Reader;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes versions that say nothing about the definitions, and are the same on every replica. */
  readonly signer: HmacSigner;
  /** The counters of a flag. */
  readonly useOf: (name: string) => FlagUse;
  /** Hears of a new set. */
  readonly onChange: (set: FlagSet) => void;
}

export interface LiveFlags {
  readonly current: FlagSet;
  /** Reads the store once more, behind whatever read is under way. @throws what the store throws */
  reload(): Promise<void>;
  /** Resolves when what is known is younger than the interval: at once in a started instance. Never rejects. */
  fresh(): Promise<void>;
  /** Begins to look for changes by itself. */
  start(): void;
  stop(): void;
}

export function usesPatterns(definition: FlagDefinition): boolean {
  return definition.rules?.some((rule) => rule.if.some(({ op }) => op === "matches")) ?? false;
}

const noPatterns: PatternEngine = () => {
  throw new TypeError("A pattern was compiled before its engine was loaded");
};

/** The engine's tables take milliseconds to load: only a process with a pattern has them. */
export async function loadEngine(definitions: Iterable<FlagDefinition>): Promise<PatternEngine> {
  for (const definition of definitions) {
    if (usesPatterns(definition)) return (await import("./pattern-engine.ts")).compilePattern;
  }
  return noPatterns;
}

interface Loaded {
  readonly revision: string | undefined;
  readonly set: FlagSet;
}

function toSources(
  { configured, log }: LiveFlagsOptions,
  changes: ReadonlyMap<string, StoredChanges>,
): readonly FlagSource[] {
  return [...configured].map(([name, definition]) => {
    const stored = changes.get(name) ?? null;
    if (!stored) return { name, definition, stored };
    if (stored.unreadable.length > 0)
      log.error("flags.change_unreadable", { flag: name, keys: [...stored.unreadable] });
    return { name, definition: applyChanges(definition, stored.changes), stored };
  });
}

/** @throws FLAG_INVALID, and what the store throws */
export async function openLiveFlags(options: LiveFlagsOptions): Promise<LiveFlags> {
  const { reader, clock, log, signer, useOf } = options;
  let checkedMs = clock.monotonic();

  const load = async (revision: string | undefined): Promise<Loaded> => {
    const sources = toSources(options, await readChanges(reader));
    const text = JSON.stringify(sources.map(({ name, definition }) => [name, definition]));
    const version = (await signer.signHex(`flags ${text}`)).slice(0, VERSION_CHARS);
    const engine = await loadEngine(sources.map(({ definition }) => definition));
    return { revision, set: createFlagSet(sources, { version, since: clock.now(), engine, useOf }) };
  };
  let loaded = await load(await reader.readMeta(REVISION_KEY));

  const check = async (): Promise<void> => {
    checkedMs = clock.monotonic();
    // The revision first: what is written behind it brings another, and the next look finds it.
    const revision = await reader.readMeta(REVISION_KEY);
    if (revision === loaded.revision) return;
    const before = loaded.set.version;
    loaded = await load(revision);
    if (loaded.set.version !== before) options.onChange(loaded.set);
  };
  let last: Promise<void> = Promise.resolve();
  const reload = (): Promise<void> => (last = last.then(check, check));
  let refreshing: Promise<void> | undefined;
  let task: RepeatingTask | undefined;
  return {
    get current() {
      return loaded.set;
    },
    reload,
    async fresh() {
      if (task !== undefined || clock.monotonic() - checkedMs < POLL_MS) return;
      refreshing ??= reload()
        .catch((error: unknown) => log.warn("flags.refresh_failed", { message: messageOf(error) }))
        .finally(() => {
          refreshing = undefined;
        });
      await refreshing;
    },
    start() {
      task ??= startRepeatingTask({
        clock,
        name: "flags",
        log: (level, message, fields) => log[level](`flags.${level}`, { message, ...fields }),
        firstDelayMs: POLL_MS,
        retryDelayMs: RETRY_MS,
        async run() {
          await reload();
          return POLL_MS;
        },
      });
    },
    stop() {
      task?.stop();
      task = undefined;
    },
  };
}
