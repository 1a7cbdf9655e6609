// Functions over a real database file: a small shop, the store and the write path as an instance has them.

import { AsyncLocalStorage } from "node:async_hooks";
import { type Clock, createSystemClock } from "../../src/core/clock.ts";
import { ANONYMOUS, type Identity } from "../../src/core/identity.ts";
import { createUlidSource } from "../../src/core/ids.ts";
import { createData, type Data } from "../../src/data/data.ts";
import { applyMigration, createSystemTables, planMigration } from "../../src/data/migration.ts";
import { createModel } from "../../src/data/model.ts";
import type { CurrentCall } from "../../src/functions/current-call.ts";
import type { FunctionDefinition } from "../../src/functions/define.ts";
import {
  type Caller,
  createFunctions,
  type FinishedCall,
  type FunctionFailure,
  type Functions,
} from "../../src/functions/functions.ts";
import { entity, field } from "../../src/manifest/dsl.ts";
import type { Store } from "../../src/store/store.ts";
import { openTestStore } from "../store/open-test-store.ts";

export const ENTITIES = [
  entity("Order", { total: field.int(), code: field.string().optional().unique() }),
  entity("Note", { text: field.string() }),
];

export const USER: Identity = {
  ...ANONYMOUS,
  kind: "user",
  userId: "usr_1",
  email: "ada@example.com",
  roles: ["editor"],
  tenantId: "org_1",
};

export const CALLER: Caller = { actor: USER, requestId: "req_1" };

export interface Harness {
  readonly store: Store;
  readonly data: Data;
  readonly functions: Functions;
  readonly storage: AsyncLocalStorage<CurrentCall>;
  readonly failures: FunctionFailure[];
  readonly finished: FinishedCall[];
  readonly call: (name: string, args?: unknown, caller?: Caller) => Promise<unknown>;
  /** Rows of `Order`, as committed. */
  readonly orders: () => Promise<readonly { readonly total: unknown; readonly code: unknown }[]>;
  close(): Promise<void>;
}

export interface HarnessOptions {
  readonly clock?: Clock;
  readonly timeoutMs?: number;
  readonly maxRunning?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export async function openFunctions(
  definitions: Readonly<Record<string, FunctionDefinition>>,
  options: HarnessOptions = {},
): Promise<Harness> {
  const { store, cleanup } = await openTestStore();
  const clock = options.clock ?? createSystemClock();
  const model = createModel({ entities: ENTITIES, policies: [], readOnly: new Set() });
  await createSystemTables(store, []);
  await applyMigration(store, await planMigration(store, ENTITIES), { allowDestructive: false });
  const data = createData({ store, model, hooks: [], clock, ulid: createUlidSource() });
  const storage = new AsyncLocalStorage<CurrentCall>();
  const failures: FunctionFailure[] = [];
  const finished: FinishedCall[] = [];
  const functions = createFunctions({
    data,
    definitions: new Map(Object.entries(definitions)),
    clock,
    env: {},
    storage,
    log: (failure) => failures.push(failure),
    onFinished: (call) => finished.push(call),
    ...options,
  });
  const scope = { actor: ANONYMOUS, policies: false, requestId: null };
  return {
    store,
    data,
    functions,
    storage,
    failures,
    finished,
    call: (name, args = {}, caller = CALLER) => functions.call(name, args, caller),
    orders: async () => (await data.read(scope).list("Order")).map(({ total, code }) => ({ total, code })),
    close: cleanup,
  };
}
