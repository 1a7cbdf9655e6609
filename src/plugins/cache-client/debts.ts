// Removals that a server did not take. They are owed to it: until they are made up for, what it holds may be out of date.

/** With more than these, everything is removed instead. */
const MAX_DEBTS = 1_000;

export class Debts {
  readonly keys = new Set<string>();
  readonly prefixes = new Set<string>();
  everything = false;

  addKey(key: string): void {
    this.keys.add(key);
    this.#bound();
  }

  addPrefix(prefix: string): void {
    this.prefixes.add(prefix);
    this.#bound();
  }

  clear(): void {
    this.keys.clear();
    this.prefixes.clear();
    this.everything = false;
  }

  #bound(): void {
    if (!this.everything && this.keys.size + this.prefixes.size <= MAX_DEBTS) return;
    this.clear();
    this.everything = true;
  }
}
