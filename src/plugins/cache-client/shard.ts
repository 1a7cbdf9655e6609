// One shared server and what is kept there. Values are never looked for to be invalidated: an invalidation is a record under
// its prefix with the next number of the server's count, and a value whose stamp is older than a record of one of its
// prefixes is void. So it costs one write however much it voids, on servers that can list their keys and on those that
// cannot, and a loader that began before it cannot bring the old value back.

import {
  isServerRefusal,
  type SharedServer,
  type SharedServerOptions,
  type SharedWrite,
} from "../../cache/shared-server.ts";
import type { Clock } from "../../core/clock.ts";
import { exponentialDelayMs } from "../../jobs/backoff.ts";
import { type BusMessage, encodeMessage } from "./bus-message.ts";
import { Debts } from "./debts.ts";
import { type Ledger, newLedgerText, parseLedger, planEntry, recordedPrefixes } from "./ledger.ts";
import { decodeValue, encodeValue, isCarried, type Lifetime, type StoredValue } from "./stored-value.ts";
import type { Json } from "../../core/json.ts";

export type ServerEvents = Pick<SharedServerOptions, "onUp" | "onDown">;

export interface ShardOptions {
  readonly connect: (events: ServerEvents) => Promise<SharedServer>;
  readonly keyPrefix: string;
  /** The longest that any value lives; records live longer. */
  readonly maxTtlMs: number;
  readonly origin: string;
  readonly clock: Clock;
  readonly random: () => number;
  /** Calls are possible, or not any more and why. */
  readonly onChange: (reason: string | undefined) => void;
}

export interface Write extends Lifetime {
  readonly value: Json;
  readonly id: number;
  /** What was known when the value began to come to be. @default what is known now */
  readonly stamp?: number;
}

const RECORD_MARGIN_MS = 60_000;
const TRIAL_MS = 100;
const MAX_TRIAL_MS = 5_000;
/** Calls under way; more than these mean that the server does not keep up. */
const MAX_CALLS = 5_000;
/** Readings of one value: each learns of invalidations under lengths that were new. */
const MAX_READINGS = 3;

export class Shard {
  readonly #options: ShardOptions;
  readonly #debts = new Debts();
  #server: SharedServer | undefined;
  #ledger: Ledger | undefined;
  /** The highest count that was seen. */
  #stamp = 0;
  #isConnected = false;
  #isReady = false;
  #isPreparing = false;
  #trials = 0;
  #calls = 0;
  #cancelTrial: () => void = () => undefined;

  constructor(options: ShardOptions) {
    this.#options = options;
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  get stamp(): number {
    return this.#stamp;
  }

  noteStamp(stamp: number): void {
    this.#stamp = Math.max(this.#stamp, stamp);
  }

  /** Begins to connect. */
  async open(): Promise<void> {
    this.#server = await this.#options.connect({
      onUp: () => {
        this.#isConnected = true;
        this.#trials = 0;
        void this.#prepare();
      },
      onDown: (reason) => {
        this.#isConnected = false;
        this.#isReady = false;
        this.#cancelTrial();
        this.#options.onChange(reason);
      },
    });
    await this.#prepare();
  }

  /** Somebody voided everything: the ledger is a new one. */
  flushed(): void {
    this.#suspend("FLUSHED");
  }

  /** Undefined when there is none, when it is void, and when the server cannot be asked. */
  async read(key: string): Promise<StoredValue | undefined> {
    if (!this.#isReady) return undefined;
    try {
      return await this.#call((server) => this.#read(server, key));
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /** Whether the server has it now. When it has not, it has no older value either, or owes us its removal. */
  async set(key: string, write: Write): Promise<boolean> {
    const { id, stamp = this.#stamp, value, ttlMs, staleMs } = write;
    if (!this.#isReady) return this.#owe(key);
    const { clock, origin } = this.#options;
    const text = encodeValue({ value, stamp, writtenAt: clock.now(), ttlMs, staleMs });
    const message: BusMessage = isCarried(text)
      ? { origin, id, kind: "set", key, text }
      : { origin, id, kind: "drop", key };
    try {
      await this.#write([{ op: "set", name: this.#valueName(key), text, ttlMs: ttlMs + staleMs }], message);
      return true;
    } catch (error) {
      // Too large, or no room: better nothing than what was there before.
      if (isServerRefusal(error)) await this.remove(key, id);
      else this.#fail(error, key);
      return false;
    }
  }

  /** Whether the server did it. */
  async remove(key: string, id: number): Promise<boolean> {
    if (!this.#isReady) return this.#owe(key);
    try {
      await this.#remove(key, id);
      return true;
    } catch (error) {
      this.#fail(error, key);
      return false;
    }
  }

  /** Whether the server did it. */
  async invalidate(prefix: string, id: number): Promise<boolean> {
    try {
      if (!this.#isReady) throw new Error("The cache server is not ready");
      await this.#invalidate(prefix, id);
      return true;
    } catch (error) {
      this.#debts.addPrefix(prefix);
      this.#fail(error);
      return false;
    }
  }

  async close(): Promise<void> {
    this.#isReady = false;
    this.#isConnected = false;
    this.#cancelTrial();
    await this.#server?.close();
  }

  #valueName(key: string): string {
    return `${this.#options.keyPrefix}v:${key}`;
  }

  #recordName(prefix: string): string {
    return `${this.#options.keyPrefix}i:${prefix}`;
  }

  get #ledgerName(): string {
    return `${this.#options.keyPrefix}l`;
  }

  get #countName(): string {
    return `${this.#options.keyPrefix}n`;
  }

  async #call<T>(run: (server: SharedServer) => Promise<T>): Promise<T> {
    if (!this.#server || this.#calls >= MAX_CALLS) throw new Error("The cache server does not keep up");
    this.#calls++;
    try {
      return await run(this.#server);
    } finally {
      this.#calls--;
    }
  }

  #write(writes: readonly SharedWrite[], message: BusMessage): Promise<void> {
    return this.#call((server) => {
      const published: SharedWrite[] = server.hasBus ? [{ op: "publish", text: encodeMessage(message) }] : [];
      return server.write([...writes, ...published]);
    });
  }

  async #read(server: SharedServer, key: string): Promise<StoredValue | undefined> {
    for (let reading = 0; reading < MAX_READINGS; reading++) {
      const ledger = this.#ledger;
      if (!ledger) return undefined;
      const records = recordedPrefixes(ledger, key).map((prefix) => this.#recordName(prefix));
      const names = [this.#valueName(key), this.#countName, this.#ledgerName, ...records];
      const [text, count, ledgerText, ...stamps] = await server.read(names);
      this.noteStamp(Number(count) || 0);
      if (ledgerText === ledger.text) return validOf(text, Math.max(ledger.epoch, ...stamps.map(Number)));
      this.#ledger = parseLedger(ledgerText);
      if (!this.#ledger) this.#suspend("LEDGER");
    }
    return undefined;
  }

  #remove(key: string, id: number): Promise<void> {
    const { origin } = this.#options;
    return this.#write([{ op: "remove", name: this.#valueName(key) }], { origin, id, kind: "drop", key });
  }

  /** Counts up; a count that was lost goes on at the time, beyond all that it ever was. */
  async #count(): Promise<number> {
    const initial = Math.trunc(this.#options.clock.now()) * 1_000;
    const counted = await this.#call((server) => server.count(this.#countName, initial));
    this.noteStamp(counted);
    return counted;
  }

  async #invalidate(wanted: string, id: number): Promise<void> {
    const ledger = this.#ledger;
    if (!ledger) throw new Error("The cache server has no ledger");
    const { maxTtlMs, origin } = this.#options;
    const stamp = await this.#count();
    const { prefix, addition } = planEntry(ledger, wanted);
    const record: SharedWrite = {
      op: "set",
      name: this.#recordName(prefix),
      text: String(stamp),
      ttlMs: maxTtlMs + RECORD_MARGIN_MS,
    };
    // Before the record: who reads in between looks for it already.
    const growth: SharedWrite[] = addition === "" ? [] : [{ op: "append", name: this.#ledgerName, text: addition }];
    await this.#write([...growth, record], { origin, id, kind: "invalidate", prefix, stamp });
    if (addition !== "") this.#ledger = parseLedger(ledger.text + addition);
  }

  #owe(key: string): false {
    this.#debts.addKey(key);
    return false;
  }

  #fail(error: unknown, key?: string): void {
    if (key !== undefined) this.#debts.addKey(key);
    this.#suspend(isServerRefusal(error) ? error.reason : "SLOW");
  }

  /** No calls until the server has answered a trial. */
  #suspend(reason: string): void {
    if (!this.#isConnected || (!this.#isReady && !this.#isPreparing)) return;
    this.#isReady = false;
    this.#options.onChange(reason);
    this.#armTrial();
  }

  #armTrial(): void {
    const { clock, random } = this.#options;
    const attempt = ++this.#trials;
    const delayMs = exponentialDelayMs({ baseMs: TRIAL_MS, maxMs: MAX_TRIAL_MS, attempt, random, jitterRatio: 1 });
    this.#cancelTrial();
    this.#cancelTrial = clock.setTimer(delayMs, () => void this.#prepare());
  }

  /** Makes up for what is owed and reads the ledger; only then is anything read from the server. */
  async #prepare(): Promise<void> {
    if (!this.#server || this.#isPreparing || this.#isReady || !this.#isConnected) return;
    this.#isPreparing = true;
    let reason: string | undefined;
    try {
      if (this.#debts.everything) await this.#flush();
      this.#ledger = await this.#openLedger();
      await this.#settle();
      this.#isReady = this.#isConnected;
    } catch (error) {
      reason = isServerRefusal(error) ? error.reason : "SLOW";
    }
    this.#isPreparing = false;
    if (!this.#isConnected) return;
    if (this.#isReady) this.#trials = 0;
    else this.#armTrial();
    this.#options.onChange(this.#isReady ? undefined : reason);
  }

  async #settle(): Promise<void> {
    for (const key of this.#debts.keys) await this.#remove(key, 0);
    for (const prefix of this.#debts.prefixes) await this.#invalidate(prefix, 0);
    this.#debts.clear();
  }

  /** Without its ledger everything is void; removing works on a server that is out of memory. */
  #flush(): Promise<void> {
    const { origin } = this.#options;
    return this.#write([{ op: "remove", name: this.#ledgerName }], { origin, id: 0, kind: "flush" });
  }

  async #openLedger(): Promise<Ledger> {
    const name = this.#ledgerName;
    const [known, count] = await this.#call((server) => server.read([name, this.#countName]));
    this.noteStamp(Number(count) || 0);
    const ledger = parseLedger(known);
    if (ledger) return ledger;
    const epoch = await this.#count();
    // Several may begin one at once: the first wins, and all of them read it.
    const begin: SharedWrite = { op: "add", name, text: newLedgerText(epoch) };
    const replaced: SharedWrite[] = known === null ? [] : [{ op: "remove", name }];
    const { origin } = this.#options;
    // Whoever writes and never reads would go on with stamps from before the epoch.
    await this.#write([...replaced, begin], { origin, id: 0, kind: "invalidate", prefix: "", stamp: epoch });
    const [begun] = await this.#call((server) => server.read([name]));
    const opened = parseLedger(begun);
    if (!opened) throw new Error("The cache server keeps no ledger");
    return opened;
  }
}

function validOf(text: string | null | undefined, since: number): StoredValue | undefined {
  const stored = text ? decodeValue(text) : undefined;
  return stored && stored.stamp >= since ? stored : undefined;
}
