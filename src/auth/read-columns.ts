// Reads columns of auth rows. A value of another type is a broken row and stops the request: nothing is guessed about
// an identity.

import type { Row } from "../store/store.ts";

function broken(column: string, expected: string): TypeError {
  return new TypeError(`Cannot read the column "${column}" as ${expected}`);
}

export function readText(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw broken(column, "text");
  return value;
}

export function readTextOrNull(row: Row, column: string): string | null {
  return row[column] === null ? null : readText(row, column);
}

export function readInt(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== "number" || !Number.isSafeInteger(value)) throw broken(column, "a safe integer");
  return value;
}

export function readIntOrNull(row: Row, column: string): number | null {
  return row[column] === null ? null : readInt(row, column);
}

export function readBool(row: Row, column: string): boolean {
  const value = row[column];
  if (typeof value !== "boolean") throw broken(column, "a boolean");
  return value;
}

export function readTexts(row: Row, column: string): readonly string[] {
  const value = row[column];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw broken(column, "a list of texts");
  return value;
}
