// An error as the person at the terminal reads it: what is wrong, everything that is, and what to do. Only what nobody
// expected shows where in the program it happened.

import { isPylonError, messageOf, type Problem } from "../core/errors.ts";
import { toStoreError } from "../store/sqlite/sqlite-errors.ts";
import type { Paint } from "./paint.ts";

function renderProblem({ path, message }: Problem, paint: Paint): string {
  return path === "" ? `  ${message}` : `  ${paint("bold", path)}: ${message}`;
}

/** Whether the list would only say again what the message says. */
function isRepeated(message: string, [first, ...others]: readonly Problem[]): boolean {
  return first !== undefined && others.length === 0 && message.includes(first.message) && message.includes(first.path);
}

/** Ends with a line feed. */
export function renderError(thrown: unknown, paint: Paint): string {
  const error = toStoreError(thrown);
  if (!isPylonError(error)) return renderBug(error, paint);
  const { code, message, hint, details = [], cause } = error;
  const problems = isRepeated(message, details) ? [] : details.map((problem) => renderProblem(problem, paint));
  const hints = hint === undefined ? [] : [`${paint("cyan", "hint")}: ${hint}`];
  // What the database said: of use to whoever runs it, and to nobody else.
  const reasons = code === "STORE_FAILED" && cause !== undefined ? [`reason: ${messageOf(cause)}`] : [];
  return `${[`${paint("red", "error")} ${code}: ${message}`, ...reasons, ...problems, ...hints].join("\n")}\n`;
}

function renderBug(error: unknown, paint: Paint): string {
  const stack = error instanceof Error && error.stack ? error.stack : messageOf(error);
  return `${paint("red", "error")} INTERNAL: ${messageOf(error)}\n${stack}\nThis is a bug in Pylon. Please report it with the lines above.\n`;
}

/** For `--json`: one document. */
export function errorDocument(thrown: unknown): Readonly<Record<string, unknown>> {
  const error = toStoreError(thrown);
  if (!isPylonError(error)) return { error: { code: "INTERNAL", message: messageOf(error) } };
  const { code, message, hint, details } = error;
  return {
    error: {
      code,
      message,
      ...(details ? { problems: details.map((problem) => ({ path: problem.path, message: problem.message })) } : {}),
      ...(hint === undefined ? {} : { hint }),
    },
  };
}
