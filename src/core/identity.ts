// Who is asking. Every write, policy decision, audit entry and scheduled job carries one of these.

export type ActorKind = "user" | "admin" | "system" | "api_key" | "anonymous";

/** The identity of a request or of background work. JSON-safe, so that a job can carry it. */
export interface Identity {
  readonly kind: ActorKind;
  readonly userId: string | null;
  readonly email: string | null;
  readonly roles: readonly string[];
  readonly tenantId: string | null;
  readonly isAdmin: boolean;
}

export const ANONYMOUS: Identity = Object.freeze({
  kind: "anonymous",
  userId: null,
  email: null,
  roles: Object.freeze([]),
  tenantId: null,
  isAdmin: false,
});

/** The holder of the admin token. */
export const ADMIN: Identity = Object.freeze({ ...ANONYMOUS, kind: "admin", isAdmin: true });

/** Pylon itself: migrations, plugins, background work that nobody scheduled. */
export const SYSTEM: Identity = Object.freeze({ ...ANONYMOUS, kind: "system", isAdmin: true });
