// The codes that reading and writing entities raise.

import { defineErrors, type ErrorFactory } from "../core/errors.ts";

export const dataError: ErrorFactory<
  | "ENTITY_NOT_FOUND"
  | "POLICY_DENIED"
  | "CONFLICT"
  | "INVALID_QUERY"
  | "INVALID_CURSOR"
  | "READ_ONLY"
  | "RESULT_TOO_LARGE"
> = defineErrors({
  ENTITY_NOT_FOUND: { status: 404, message: "There is no such entity" },
  POLICY_DENIED: { status: 403, message: "Access denied by policy", hint: "No policy of this entity allows it to you" },
  CONFLICT: { status: 409, message: "Another row already has this value" },
  INVALID_QUERY: { status: 400, message: "The query does not fit the entity" },
  INVALID_CURSOR: { status: 400, message: "The cursor does not belong to this query", hint: "Start again without it" },
  READ_ONLY: { status: 403, message: "Pylon writes this entity itself", hint: "It can be read, not changed" },
  RESULT_TOO_LARGE: { status: 400, message: "The query matches too many rows", hint: "Give $limit, or use paginate" },
});
