// What every Store must do. A test file per implementation calls `describeStore` with a way to open an empty one; the
// parts stand beside this file.

import { describe } from "node:test";

import { createStoreTest, type OpenStore } from "./store-fixture.ts";
import { testCommitSteps } from "./store-commit-steps.ts";
import { testFind } from "./store-find.ts";
import { testJobs } from "./store-jobs.ts";
import { testKeyedJobs } from "./store-keyed-jobs.ts";
import { testLeases } from "./store-leases.ts";
import { testLifecycle } from "./store-lifecycle.ts";
import { testRows } from "./store-rows.ts";
import { testSchema } from "./store-schema.ts";
import { testStorm } from "./store-storm.ts";
import { testTransactions } from "./store-transactions.ts";

export type { OpenedStore, OpenStore } from "./store-fixture.ts";

export function describeStore(name: string, open: OpenStore): void {
  const test = createStoreTest(open);
  const parts = {
    transactions: testTransactions,
    "commit steps": testCommitSteps,
    rows: testRows,
    find: testFind,
    jobs: testJobs,
    "keyed jobs": testKeyedJobs,
    leases: testLeases,
    storm: testStorm,
    schema: testSchema,
    lifecycle: testLifecycle,
  };
  describe(`the store contract on ${name}`, () => {
    for (const [part, run] of Object.entries(parts)) describe(part, () => run(test));
  });
}
