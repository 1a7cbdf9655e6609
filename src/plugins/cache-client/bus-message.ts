// What replicas tell each other: a line of JSON, and for a value its stored form behind it. Anyone who reaches the server can
// publish, so what does not parse is nothing.

import { isObject } from "../../core/json.ts";

interface Sent {
  /** The process that sent it. */
  readonly origin: string;
  /** Counts the sender's own writes. */
  readonly id: number;
}

export type BusMessage = Sent &
  (
    | { readonly kind: "set"; readonly key: string; readonly text: string }
    /** The key was removed, or has a value that is too large to carry. */
    | { readonly kind: "drop"; readonly key: string }
    | { readonly kind: "invalidate"; readonly prefix: string; readonly stamp: number }
    /** Everything that lies in the server is void. */
    | { readonly kind: "flush" }
  );

export function encodeMessage(message: BusMessage): string {
  if (message.kind !== "set") return JSON.stringify(message);
  const { text, ...head } = message;
  return `${JSON.stringify(head)}\n${text}`;
}

export function decodeMessage(text: string): BusMessage | undefined {
  const end = text.indexOf("\n");
  try {
    const head: unknown = JSON.parse(end < 0 ? text : text.slice(0, end));
    if (!isObject(head) || typeof head["origin"] !== "string" || typeof head["id"] !== "number") return undefined;
    const { origin, id, kind, key, prefix, stamp } = head;
    if (kind === "set" && typeof key === "string" && end >= 0)
      return { origin, id, kind, key, text: text.slice(end + 1) };
    if (kind === "drop" && typeof key === "string") return { origin, id, kind, key };
    if (kind === "flush") return { origin, id, kind };
    const fits = kind === "invalidate" && typeof prefix === "string" && typeof stamp === "number";
    return fits ? { origin, id, kind, prefix, stamp } : undefined;
  } catch {
    return undefined;
  }
}
