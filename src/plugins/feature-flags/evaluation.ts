// What evaluating a flag takes and gives: who is asking, and the answer with its reason.

/** Who a flag is evaluated for; `ctx.auth` of a function fits. Absent or null: not known, as for an anonymous caller. */
export interface FlagSubject {
  readonly userId?: string | null | undefined;
  readonly tenantId?: string | null | undefined;
  readonly email?: string | null | undefined;
  readonly roles?: readonly string[] | undefined;
  readonly isAdmin?: boolean | undefined;
  /** What else rules may look at. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined;
}

/** A subject at a moment, for schedules. */
export interface FlagContext extends FlagSubject {
  /** Epoch milliseconds. */
  readonly nowMs: number;
}

/** Of OpenFeature (specification, section 1.4.7 and types). DEFAULT: nothing that would turn the flag on applies. */
export type FlagReason = "STATIC" | "TARGETING_MATCH" | "SPLIT" | "DISABLED" | "DEFAULT";

/** An answer. Each flag has a fixed list of them and hands out the same objects again. */
export interface Evaluation {
  readonly value: boolean;
  /** The name of the variant; null for a flag without variants, while it is off, and for a caller without a user id. */
  readonly variant: string | null;
  readonly reason: FlagReason;
  /** The flag is rolled out to a part of the users, and this caller has no user id to be part of anything. */
  readonly targetingKeyMissing: boolean;
  /** Its place among the flag's possible answers. */
  readonly index: number;
}

/**
 * Whether a flag is on, as application code asks. Without `auth` it is for whoever calls the function that runs; null is an
 * anonymous caller. A flag that does not exist is off.
 */
export type IsFeatureEnabled = (
  name: string,
  auth?: FlagSubject | null,
  attributes?: Readonly<Record<string, unknown>>,
) => boolean;

/** The name of the variant that a caller gets; null while the flag is off, without variants, or unknown. */
export type FeatureVariant = (...asked: Parameters<IsFeatureEnabled>) => string | null;
