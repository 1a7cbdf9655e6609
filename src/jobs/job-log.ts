// What the engine tells an operator. Fields never hold payloads: they may carry secrets.

/** One line of the log. */
export type JobLog = (
  level: "warn" | "error",
  message: string,
  fields: Readonly<Record<string, string | number>>,
) => void;
