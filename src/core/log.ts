// The shape of a log. Fields are JSON values; secrets never go in.

import type { Json } from "./json.ts";

export type LogFields = Readonly<Record<string, Json | undefined>>;

export interface Log {
  /** `event` is a short dotted name, such as `job.failed`. */
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** A log that keeps nothing; for embedders that do not want one. */
export const SILENT_LOG: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };
