// On whose behalf data is read and written.

import type { Identity } from "../core/identity.ts";

/** Whose request it is, and how far policies count. */
export interface Scope {
  readonly actor: Identity;
  /** False for application functions, which are trusted code. */
  readonly policies: boolean;
  readonly requestId: string | null;
  /** Pylon's own code: may write read-only entities. */
  readonly internal?: boolean;
}
