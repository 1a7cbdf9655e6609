// The codes that running a function raises.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const functionError: ErrorFactory<
  | "FN_NOT_FOUND"
  | "FN_WRONG_KIND"
  | "NOT_AN_ACTION"
  | "FN_TIMEOUT"
  | "FN_ABORTED"
  | "FN_BUSY"
  | "FN_ENDED"
  | "FN_READ_ONLY"
  | "FN_RESULT_INVALID"
  | "HANDLER_ERROR"
> = defineErrors({
  FN_NOT_FOUND: { status: 404, message: "There is no such function" },
  FN_WRONG_KIND: { status: 400, message: "The function is of another kind" },
  NOT_AN_ACTION: { status: 400, message: "Only an action can answer a webhook" },
  FN_TIMEOUT: { status: 504, message: "The function took too long", hint: "A mutation was rolled back" },
  FN_ABORTED: { status: 503, message: "The function was stopped before it ended" },
  FN_BUSY: { status: 503, message: "Too many functions are running" },
  FN_ENDED: { status: 500, message: "Cannot use the context of a function after the function has ended" },
  FN_READ_ONLY: { status: 500, message: "Cannot write from a query", hint: "Make it a mutation, or an action" },
  FN_RESULT_INVALID: { status: 500, message: "The function returned something that is not JSON" },
  HANDLER_ERROR: { status: 500, message: "The function failed" },
});
