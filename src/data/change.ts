// What a write is, as the rest of the house sees it: the change that was made, and the hooks that see it.

import type { Identity } from "../core/identity.ts";
import type { Row, Tx, Value } from "../store/store.ts";

export type WriteOp = "insert" | "update" | "delete";

/** A write that was made inside a transaction that has not committed yet. */
export interface Change {
  readonly op: WriteOp;
  readonly entity: string;
  readonly id: string;
  /** The full row before; null for an insert. */
  readonly before: Row | null;
  /** The full row after; null for a delete. */
  readonly after: Row | null;
  /** The very object that `before` hooks were shown as the draft's `data`: what they remember about it is found again. */
  readonly draft: Draft["data"];
  readonly actor: Identity;
  readonly requestId: string | null;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** A write that is about to be made. `data` is the validated input, which a hook may change in place. */
export interface Draft {
  readonly op: WriteOp;
  readonly entity: string;
  /** The row's id; new for an insert. */
  readonly id: string;
  readonly data: Record<string, Value>;
  readonly actor: Identity;
}

/**
 * The three moments of a write. `before` may wait for anything, runs ahead of the transaction and may change the draft or
 * refuse by throwing. `within` runs in the transaction and awaits only `tx`; a throw rolls everything back. `after` runs
 * once the commit is durable and must not throw.
 */
export interface WriteHooks {
  /** Only writes to these entities are shown; all when absent. */
  readonly entities?: ReadonlySet<string>;
  before?(draft: Draft): void | Promise<void>;
  within?(change: Change, tx: Tx): void | Promise<void>;
  after?(change: Change): void;
}
