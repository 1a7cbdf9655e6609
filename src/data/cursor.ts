// Opaque page cursors: the order they belong to and the last row's place in it. A place behind a row that its reader may
// not see is sealed, because the row's value in it would be the only thing of a hidden row that ever gets out.

import { decodeBase64Url, encodeBase64Url } from "../crypto/base64.ts";
import { encodeHex } from "../crypto/hex.ts";
import type { Order, Reader, Row, Value } from "../store/store.ts";
import { dataError } from "./data-errors.ts";

export interface Place {
  readonly value: Value;
  readonly id: string;
}

/** Less than servers and proxies take as a request line (16 KiB). */
const MAX_CURSOR_CHARS = 12_288;
/** A plain place is JSON text, which begins with "[". */
const SEALED = 1;
const IV_BYTES = 12;

/** Under this key the store keeps the secret that seals places, the same for every process on it. */
export const CURSOR_SECRET_KEY = "cursor-secret";

/** A new secret, for {@link CURSOR_SECRET_KEY}. */
export function createCursorSecret(): string {
  return encodeHex(crypto.getRandomValues(new Uint8Array(32)));
}

function orderName(order: Order | undefined): string {
  return order ? `${order.descending ? "-" : ""}${order.column}` : "id";
}

function placeBytes(order: Order | undefined, row: Row): Uint8Array<ArrayBuffer> {
  const place = [orderName(order), order ? (row[order.column] ?? null) : null, row.id];
  return new TextEncoder().encode(JSON.stringify(place));
}

function toText(order: Order | undefined, bytes: Uint8Array): string {
  const cursor = encodeBase64Url(bytes);
  if (cursor.length <= MAX_CURSOR_CHARS) return cursor;
  const message = `Values of "${orderName(order)}" are too long to page by`;
  throw dataError("INVALID_QUERY", { details: [{ path: "order", message }] });
}

/**
 * The cursor behind `row`, which its reader can see, in `order`.
 *
 * @throws INVALID_QUERY when the row's value is too long for one, some 9,000 bytes.
 */
export function encodeCursor(order: Order | undefined, row: Row): string {
  return toText(order, placeBytes(order, row));
}

async function sealingKey(reader: Reader): Promise<CryptoKey> {
  const secret = await reader.readMeta(CURSOR_SECRET_KEY);
  if (secret === undefined) throw new TypeError("The store was not prepared: it has no secret for cursors");
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(secret));
  return crypto.subtle.importKey("raw", digest, "AES-GCM", false, ["encrypt", "decrypt"]);
}

/** The cursor behind `row`, which its reader cannot see. @throws INVALID_QUERY like {@link encodeCursor} */
export async function sealCursor(reader: Reader, order: Order | undefined, row: Row): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const key = await sealingKey(reader);
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, placeBytes(order, row)));
  const bytes = new Uint8Array(1 + IV_BYTES + sealed.length);
  bytes[0] = SEALED;
  bytes.set(iv, 1);
  bytes.set(sealed, 1 + IV_BYTES);
  return toText(order, bytes);
}

async function unseal(reader: Reader, bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const iv = bytes.subarray(1, 1 + IV_BYTES);
  const key = await sealingKey(reader);
  return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, bytes.subarray(1 + IV_BYTES)));
}

function parsePlace(order: Order | undefined, bytes: Uint8Array): Place {
  const parts: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  if (!Array.isArray(parts) || parts.length !== 3) throw new TypeError("Not a cursor");
  const [name, value, id] = parts as unknown[];
  const plain = value === null || ["string", "number", "boolean"].includes(typeof value);
  if (name !== orderName(order) || typeof id !== "string" || !plain) throw new TypeError("Not this order's cursor");
  return { value: value as Value, id };
}

/** @throws INVALID_CURSOR when it was not made by this order. */
export async function decodeCursor(reader: Reader, order: Order | undefined, cursor: string): Promise<Place> {
  try {
    if (cursor.length > MAX_CURSOR_CHARS) throw new RangeError("Cursor too long");
    const bytes = decodeBase64Url(cursor);
    if (!bytes) throw new TypeError("Not base64url");
    return parsePlace(order, bytes[0] === SEALED ? await unseal(reader, bytes) : bytes);
  } catch (error) {
    throw dataError("INVALID_CURSOR", { cause: error });
  }
}
