// Exports that application code imports before they exist: an application names its plugins while it loads, and a plugin
// starts only after that. Each name is a stand-in that hands everything on once it is bound.

import { sdkError } from "./sdk-errors.ts";

/** Names that will be bound to what a started instance gives. */
export interface LateExports {
  readonly exports: Readonly<Record<string, unknown>>;
  /** Gives the names their values; may be called again, as a reload does. Names that were not declared are ignored. */
  bind(values: Readonly<Record<string, unknown>>): void;
}

interface Slot {
  readonly name: string;
  value: unknown;
}

function valueOf(slot: Slot): object {
  const { name, value } = slot;
  if ((typeof value === "object" && value !== null) || typeof value === "function") return value;
  throw sdkError("SDK_NOT_READY", { message: `Cannot use "${name}" while the application loads` });
}

/** `then` is no export: a stand-in that is awaited or returned from an async function must not throw for being looked at. */
function createStandIn(slot: Slot): unknown {
  return new Proxy(() => undefined, {
    get(_target, key) {
      if (key === "then") return undefined;
      const owner = valueOf(slot);
      const member: unknown = Reflect.get(owner, key);
      return typeof member === "function" ? member.bind(owner) : member;
    },
    has: (_target, key) => Reflect.has(valueOf(slot), key),
    apply: (_target, self, args) => Reflect.apply(valueOf(slot) as () => unknown, self, args),
  });
}

/** Declares names for `bind` to fill: functions, or objects whose methods are called. @throws SDK_NOT_READY until then */
export function createLateExports(names: readonly string[]): LateExports {
  const slots = new Map(names.map((name): [string, Slot] => [name, { name, value: undefined }]));
  return {
    exports: Object.fromEntries([...slots].map(([name, slot]) => [name, createStandIn(slot)])),
    bind(values) {
      for (const [name, slot] of slots) slot.value = values[name];
    },
  };
}
