// The codes of everything that can end an outbound call without a response. They are values of an outcome, and errors
// only where a `fetch` has to reject.
import { defineErrors, type ErrorFactory } from "../core/errors.ts";

/** Why an outbound call that was allowed has no response. */
export type NetFailureCode =
  | "NET_ABORTED"
  | "NET_CONNECT"
  | "NET_DNS"
  | "NET_PROTOCOL"
  | "NET_REQUEST_INVALID"
  | "NET_RESET"
  | "NET_RESPONSE_TOO_LARGE"
  | "NET_TIMEOUT"
  | "NET_TLS";

export type NetErrorCode = NetFailureCode | "NET_BLOCKED";

export const netError: ErrorFactory<NetErrorCode> = defineErrors({
  NET_BLOCKED: {
    status: 403,
    message: "This target is not allowed",
    hint: "Only public addresses can be reached; the operator may allow others with net_guard.allow_hosts",
  },
  NET_ABORTED: { status: 499, message: "The call was given up by its caller" },
  NET_CONNECT: { status: 502, message: "Cannot connect to the target" },
  NET_DNS: { status: 502, message: "Cannot find an address for the host" },
  NET_PROTOCOL: { status: 502, message: "The target does not answer in HTTP" },
  NET_REQUEST_INVALID: { status: 400, message: "The request cannot be sent as it is" },
  NET_RESET: { status: 502, message: "The target closed the connection before it answered" },
  NET_RESPONSE_TOO_LARGE: { status: 502, message: "The response headers are too large" },
  NET_TIMEOUT: { status: 504, message: "The target did not answer in time" },
  NET_TLS: { status: 502, message: "Cannot establish a trusted TLS connection to the target" },
});
