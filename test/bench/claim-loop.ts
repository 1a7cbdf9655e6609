// Claims jobs by the hundred and settles each hundred with the next claim, as the job engine does, until none is left.
// Usage: claim-loop.ts DATABASE_URL LANE OWNER; begins when it reads a line, and prints how many it had.

import { openDatabaseServer } from "../../src/platform/postgres-platform.ts";
import type { Job, Store } from "../../src/store/store.ts";

const [url = "", lane = "", owner = ""] = process.argv.slice(2);
const BATCH = 100;
/** Batches under way at once: the job engine's connections. */
const LANES_AT_ONCE = 2;

/** Settles what was claimed before and claims the next, in one transaction. */
function turn(store: Store, claimed: readonly Job[]): Promise<Job[]> {
  const now = Date.now();
  return store.write(
    async (tx) => {
      await Promise.all(
        claimed.map(({ seq, key, attempt }) =>
          tx.settleJob({
            seq,
            key,
            lane,
            owner,
            attempt: { attempt, startedAt: now, durationMs: 1, ok: true, status: 200, error: null },
            next: { state: "done" },
          }),
        ),
      );
      return tx.claimJobs({ lane, limit: BATCH, owner, now, leaseUntil: now + 60_000 });
    },
    { isolation: "read-committed" },
  );
}

async function work(store: Store): Promise<number> {
  let count = 0;
  for (let claimed = await turn(store, []); claimed.length > 0; claimed = await turn(store, claimed)) {
    count += claimed.length;
  }
  return count;
}

const store = await openDatabaseServer({ url, startWaitMs: 5_000 });
console.log("ready ");
for await (const _line of console) break;
const counts = await Promise.all(Array.from({ length: LANES_AT_ONCE }, () => work(store)));
console.log(`done ${counts.reduce((sum, count) => sum + count, 0)}`);
process.exit(0);
