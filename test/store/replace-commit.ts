// Postgres with a COMMIT that goes wrong: for tests of what a store says when it does not hear how a transaction ended.

import { postgresPlatform } from "../../src/platform/postgres-platform.ts";
import type { PostgresPlatform } from "../../src/store/postgres/postgres-client.ts";

/** What a lost connection looks like to whoever waits for an answer on it. */
export function connectionLost(): Error {
  return Object.assign(new Error("write CONNECTION_CLOSED"), { code: "CONNECTION_CLOSED" });
}

export interface CommitReplacer extends PostgresPlatform {
  /** The next COMMIT is the one. */
  arm(): void;
}

/** Runs `instead` in the place of the next COMMIT, which it may send; the connection is gone then. */
export function replaceNextCommit(instead: (send: () => Promise<unknown>) => Promise<unknown>): CommitReplacer {
  let isArmed = false;
  return {
    arm() {
      isArmed = true;
    },
    async connect(url, options) {
      const connection = await postgresPlatform.connect(url, options);
      return {
        ...connection,
        async query(sql, values) {
          if (sql !== "COMMIT" || !isArmed) return connection.query(sql, values);
          isArmed = false;
          await instead(() => connection.query(sql, values));
          connection.destroy();
          throw connectionLost();
        },
      };
    },
  };
}
