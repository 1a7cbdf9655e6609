// The one error of the rule parser: what was expected, and where.

import { PylonError } from "../../core/errors.ts";
import { manifestError } from "../manifest-errors.ts";

function describePosition(text: string, offset: number): string {
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n");
  return line === 1 ? `at column ${column}` : `at line ${line}, column ${column}`;
}

/** POLICY_INVALID with the place: `offset` counts UTF-16 units of the rule's text from 0, the message counts from 1. */
export class PolicyError extends PylonError {
  readonly offset: number;

  constructor(message: string, text: string, offset: number) {
    const { status } = manifestError.table.POLICY_INVALID;
    super("POLICY_INVALID", status, { message: `${message} ${describePosition(text, offset)}` });
    this.offset = offset;
  }
}
