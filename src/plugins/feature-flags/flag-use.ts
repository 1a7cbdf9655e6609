// How often flags are evaluated, over all processes: counted in memory, added to the store every few seconds and at the end.
// A crash loses the last seconds of counting and nothing else.

import type { Reader, Store, TableSpec, Tx } from "../../store/store.ts";
import { MAX_FLAGS } from "./flag-definition.ts";

/** One row for each flag that was ever evaluated; its id is the flag's name. */
export const flagUseTable: TableSpec = {
  name: "_flag_use",
  columns: [
    { name: "evaluations", type: "int" },
    { name: "lastMs", type: "int" },
  ],
  indexes: [],
};

/** Flags come and go; their rows stay. */
const MAX_ROWS = MAX_FLAGS * 10;

/** What one flag was asked. Counted up in place: evaluating allocates nothing. */
export interface FlagUse {
  evaluations: number;
  /** Epoch milliseconds; null before the first. */
  lastMs: number | null;
}

export interface FlagUses {
  /** What this process has counted and not stored yet. */
  readonly of: (name: string) => FlagUse;
  /** Of all processes, as far as they have stored it, and of this one to the moment. */
  read(reader: Reader): Promise<(name: string) => FlagUse>;
  /** Adds what was counted to the store. @throws what the store throws; nothing is lost then */
  flush(store: Store): Promise<void>;
}

function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.max(a, b);
}

const toNumber = (value: unknown): number => (typeof value === "number" ? value : 0);

async function addUse(tx: Tx, name: string, { evaluations, lastMs }: FlagUse): Promise<void> {
  const row = await tx.get(flagUseTable.name, name);
  if (!row) {
    await tx.insert(flagUseTable.name, { id: name, evaluations, lastMs });
    return;
  }
  await tx.update(flagUseTable.name, name, {
    evaluations: toNumber(row.evaluations) + evaluations,
    lastMs: later(toNumber(row.lastMs), lastMs),
  });
}

async function addAll(store: Store, counted: ReadonlyMap<string, FlagUse>): Promise<void> {
  const used = [...counted].filter(([, { evaluations }]) => evaluations > 0);
  if (used.length === 0) return;
  // In one order on every replica, so that two of them do not wait for each other.
  const added = used
    .map(([name, use]) => ({ name, use, count: { ...use } }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  await store.write(async (tx) => {
    for (const { name, count } of added) await addUse(tx, name, count);
  });
  // What was counted since then stays for the next time.
  for (const { use, count } of added) use.evaluations -= count.evaluations;
}

export function createFlagUses(): FlagUses {
  const counted = new Map<string, FlagUse>();
  let last: Promise<void> = Promise.resolve();
  return {
    of(name) {
      const use = counted.get(name) ?? { evaluations: 0, lastMs: null };
      counted.set(name, use);
      return use;
    },
    async read(reader) {
      const rows = await reader.find(flagUseTable.name, { limit: MAX_ROWS });
      const stored = new Map(rows.map((row) => [row.id, row]));
      return (name) => {
        const { evaluations = 0, lastMs = null } = counted.get(name) ?? {};
        const row = stored.get(name);
        if (!row) return { evaluations, lastMs };
        return {
          evaluations: toNumber(row.evaluations) + evaluations,
          lastMs: later(toNumber(row.lastMs), lastMs),
        };
      };
    },
    flush(store) {
      const turn = (): Promise<void> => addAll(store, counted);
      // One after the other: two at once would both add what was counted before them.
      return (last = last.then(turn, turn));
    },
  };
}
