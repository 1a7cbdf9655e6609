// The one error class of Pylon and the tables that declare its codes. A code is stable, has one HTTP status and one
// default message; details and messages never carry secrets, because they may be answered to a caller.

/** What a room declares about one of its error codes. */
export interface ErrorSpec {
  /** The HTTP status that `http/` answers with. */
  readonly status: number;
  /** Sentence case, no period; used when the raiser gives no message of its own. */
  readonly message: string;
  /** What the reader can do next. */
  readonly hint?: string;
}

/** One problem of an input: where it is and what is wrong. `path` is dotted, e.g. `entities.0.fields.2.type`. */
export interface Problem {
  readonly path: string;
  readonly message: string;
  /** The environment variable whose absence is the problem. */
  readonly missingEnv?: string;
  /** The place is the environment, and this its variable: `path` says no more. */
  readonly variable?: string;
}

export interface ErrorOptions {
  readonly message?: string;
  readonly hint?: string;
  readonly details?: readonly Problem[];
  /** Seconds after which the caller may try again; becomes `Retry-After`. */
  readonly retryAfterSecs?: number;
  readonly cause?: unknown;
}

/** An error that has a stable code. Everything that reaches a caller is one of these, or `INTERNAL`. */
export class PylonError extends Error {
  override readonly name: string = "PylonError";
  readonly code: string;
  readonly status: number;
  readonly hint: string | undefined;
  readonly details: readonly Problem[] | undefined;
  readonly retryAfterSecs: number | undefined;

  constructor(code: string, status: number, options: ErrorOptions & { readonly message: string }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = status;
    this.hint = options.hint;
    this.details = options.details;
    this.retryAfterSecs = options.retryAfterSecs;
  }
}

/** Makes errors of one table: `dataError("NOT_FOUND", { message })`. */
export interface ErrorFactory<Code extends string> {
  (code: Code, options?: ErrorOptions): PylonError;
  readonly table: Readonly<Record<Code, ErrorSpec>>;
}

/** Declares a room's codes. Codes are append-only: callers match on them. */
export function defineErrors<const Table extends Record<string, ErrorSpec>>(
  table: Table,
): ErrorFactory<Extract<keyof Table, string>> {
  const create = (code: Extract<keyof Table, string>, options: ErrorOptions = {}): PylonError => {
    const spec: ErrorSpec = table[code] as ErrorSpec;
    const hint = options.hint ?? spec.hint;
    return new PylonError(code, spec.status, {
      ...options,
      message: options.message ?? spec.message,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  return Object.assign(create, { table });
}

/** Whether `error` is a {@link PylonError}, of the given code when one is given. */
export function isPylonError(error: unknown, code?: string): error is PylonError {
  return error instanceof PylonError && (code === undefined || error.code === code);
}

/** Codes that belong to no room in particular. */
export const coreError: ErrorFactory<
  | "INTERNAL"
  | "INVALID_JSON"
  | "VALIDATION_FAILED"
  | "AUTH_REQUIRED"
  | "NOT_FOUND"
  | "CONFIG_INVALID"
  | "CONFIG_ENV_MISSING"
> = defineErrors({
  INTERNAL: { status: 500, message: "Something went wrong on this side" },
  INVALID_JSON: { status: 400, message: "Cannot read the body as JSON" },
  VALIDATION_FAILED: { status: 400, message: "The input does not fit" },
  AUTH_REQUIRED: { status: 401, message: "Sign in first", hint: "Send Authorization: Bearer <token>" },
  NOT_FOUND: { status: 404, message: "There is nothing here" },
  CONFIG_INVALID: { status: 500, message: "The configuration does not fit" },
  CONFIG_ENV_MISSING: { status: 500, message: "An environment variable is missing" },
});

/** One line for logs: the message of anything thrown. Never the stack, never the cause. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
