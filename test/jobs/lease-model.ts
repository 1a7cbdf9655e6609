// What a store must never do to jobs, checked as each transaction commits: two live leases on a job, a claim before its due
// time, a settlement without its lease.

import assert from "node:assert/strict";

import type { Job, Settlement } from "../../src/store/store.ts";

interface Lease {
  readonly owner: string;
  readonly attempt: number;
  until: number;
}

export class LeaseModel {
  readonly #leases: Map<number, Lease> = new Map();
  readonly #settled: Set<string> = new Set();

  claimed(jobs: readonly Job[], now: number): void {
    for (const job of jobs) {
      assert.equal(this.#leases.get(job.seq), undefined, `two live leases on ${job.id}`);
      assert.ok(job.dueAt <= now, `${job.id} was claimed before it was due`);
      this.#leases.set(job.seq, { owner: job.leaseOwner ?? "", attempt: job.attempt, until: job.leaseUntil ?? 0 });
    }
  }

  settled({ seq, owner, attempt }: Settlement): void {
    const lease = this.#leases.get(seq);
    assert.ok(lease?.owner === owner && lease.attempt === attempt.attempt, `${seq} was settled without its lease`);
    const name = `${seq}#${attempt.attempt}`;
    assert.ok(!this.#settled.has(name), `${name} was settled twice`);
    this.#settled.add(name);
    this.#leases.delete(seq);
  }

  extended(seqs: readonly number[], owner: string, until: number): void {
    for (const seq of seqs) {
      const lease = this.#leases.get(seq);
      assert.equal(lease?.owner, owner, `the lease of ${seq} was moved by a stranger`);
      if (lease) lease.until = until;
    }
  }

  released(seqs: readonly number[], owner: string): void {
    for (const seq of seqs) if (this.#leases.get(seq)?.owner === owner) this.#leases.delete(seq);
  }

  expired(now: number): void {
    for (const [seq, lease] of this.#leases) if (lease.until <= now) this.#leases.delete(seq);
  }
}
