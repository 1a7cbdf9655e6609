// Opaque page cursors: the order they belong to and the last row's place in it.

import { decodeBase64Url, encodeBase64Url } from "../crypto/base64.ts";
import type { Order, Row, Value } from "../store/store.ts";
import { dataError } from "./data-errors.ts";

export interface Place {
  readonly value: Value;
  readonly id: string;
}

const MAX_CURSOR_CHARS = 4_096;

function orderName(order: Order | undefined): string {
  return order ? `${order.descending ? "-" : ""}${order.column}` : "id";
}

/** The cursor behind `row` in `order`. */
export function encodeCursor(order: Order | undefined, row: Row): string {
  const place = [orderName(order), order ? (row[order.column] ?? null) : null, row.id];
  return encodeBase64Url(new TextEncoder().encode(JSON.stringify(place)));
}

/** @throws INVALID_CURSOR when it was not made by this order. */
export function decodeCursor(order: Order | undefined, cursor: string): Place {
  try {
    if (cursor.length > MAX_CURSOR_CHARS) throw new RangeError("Cursor too long");
    const bytes = decodeBase64Url(cursor);
    const parts: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (!Array.isArray(parts) || parts.length !== 3) throw new TypeError("Not a cursor");
    const [name, value, id] = parts as unknown[];
    const plain = value === null || ["string", "number", "boolean"].includes(typeof value);
    if (name !== orderName(order) || typeof id !== "string" || !plain) throw new TypeError("Not this order's cursor");
    return { value: value as Value, id };
  } catch (error) {
    throw dataError("INVALID_CURSOR", { cause: error });
  }
}
