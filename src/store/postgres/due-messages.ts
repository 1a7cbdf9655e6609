// What replicas tell each other about lanes with new work, as the payloads of notifications.

import type { LaneDue } from "../store.ts";

/** The server takes payloads below 8000 bytes (https://www.postgresql.org/docs/current/sql-notify.html). */
const MAX_BYTES = 7_900;
/** News of more lanes than this is "look yourself". */
const MAX_LANES = 300;

export interface DueMessage {
  readonly sender: string;
  /** Null: too many to name. */
  readonly due: readonly LaneDue[] | null;
}

function encode(sender: string, due: readonly LaneDue[] | null): string {
  return JSON.stringify([sender, due && due.map(({ lane, dueAt }) => [lane, dueAt])]);
}

/** As few payloads as it takes. */
export function encodeDue(sender: string, due: readonly LaneDue[]): string[] {
  if (due.length > MAX_LANES) return [encode(sender, null)];
  const text = encode(sender, due);
  if (new TextEncoder().encode(text).length <= MAX_BYTES) return [text];
  if (due.length === 1) return [encode(sender, null)];
  const half = due.length >> 1;
  return [...encodeDue(sender, due.slice(0, half)), ...encodeDue(sender, due.slice(half))];
}

function isLaneEntry(entry: unknown): entry is [string, number] {
  return Array.isArray(entry) && typeof entry[0] === "string" && Number.isSafeInteger(entry[1]);
}

/** Undefined for what no Pylon sent: anyone who may connect may notify. */
export function decodeDue(payload: string): DueMessage | undefined {
  let message: unknown;
  try {
    message = JSON.parse(payload);
  } catch {
    return undefined;
  }
  if (!Array.isArray(message) || typeof message[0] !== "string") return undefined;
  const [sender, entries] = message as [string, unknown];
  if (entries === null) return { sender, due: null };
  if (!Array.isArray(entries) || !entries.every(isLaneEntry)) return undefined;
  return { sender, due: entries.map(([lane, dueAt]) => ({ lane, dueAt })) };
}
