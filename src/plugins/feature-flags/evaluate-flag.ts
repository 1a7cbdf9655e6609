// `pylon-runtime/flags`: flags evaluated without an instance, exactly as a server does it. Pure: the same arguments give
// the same answer in every process and on every runtime.

import { readWithSchema } from "../../manifest/schema-problems.ts";
import { compileFlag, type CompiledFlag } from "./compile-flag.ts";
import type { Evaluation, FlagContext } from "./evaluation.ts";
import { flagDefinition, type FlagInput } from "./flag-definition.ts";
import { flagError } from "./flag-errors.ts";
import { compilePattern } from "./pattern-engine.ts";

export type { Evaluation, FlagContext, FlagReason, FlagSubject } from "./evaluation.ts";
export type { FlagInput } from "./flag-definition.ts";

/** A flag that is ready: `evaluate` costs a fraction of a microsecond, and throws FLAG_CONTEXT_INVALID. */
export type ReadyFlag = Pick<CompiledFlag, "name" | "evaluate">;

/** A schedule without a time would be off, and an id that is no text anyone's. @throws FLAG_CONTEXT_INVALID */
function assertContext(context: Partial<FlagContext> | null | undefined): asserts context is FlagContext {
  const { nowMs, userId } = context ?? {};
  if (typeof nowMs !== "number" || Number.isNaN(nowMs)) throw unfitContext("nowMs is not a number");
  const isFitting = userId === undefined || userId === null || typeof userId === "string";
  if (!isFitting) throw unfitContext("userId is not a string");
}

function unfitContext(what: string): Error {
  return flagError("FLAG_CONTEXT_INVALID", { message: `Cannot evaluate a flag for this: ${what}` });
}

function guarded(flag: CompiledFlag): ReadyFlag {
  return {
    name: flag.name,
    evaluate(context) {
      assertContext(context);
      return flag.evaluate(context);
    },
  };
}

/**
 * Makes a flag ready for many evaluations. `name` is its salt unless the definition has another.
 *
 * @throws FLAG_INVALID with every problem of the definition.
 */
export function prepareFlag(name: string, definition: FlagInput): ReadyFlag {
  const read = readWithSchema(flagDefinition, definition);
  if (!read.ok) throw flagError("FLAG_INVALID", { details: read.problems });
  try {
    return guarded(compileFlag(name, read.value, compilePattern));
  } catch (error) {
    throw flagError("FLAG_INVALID", { cause: error, hint: "Patterns are in RE2 syntax" });
  }
}

/**
 * Evaluates a flag for a subject: `evaluateFlag("ai-suggestions", { enabled: true, rollout: 25 }, { userId, nowMs })`.
 * For more than a few, {@link prepareFlag} reads the definition once.
 *
 * @throws FLAG_INVALID, FLAG_CONTEXT_INVALID
 */
export function evaluateFlag(name: string, definition: FlagInput, context: FlagContext): Evaluation {
  return prepareFlag(name, definition).evaluate(context);
}
