// The port through which this room sends mail. A mail is enqueued in the transaction of what it is about: both commit, or
// neither does.

import type { Tx } from "../store/store.ts";

/** Templates this room asks for, with the variables that it gives. */
export interface AuthMailVars {
  /** `code`: six digits; `email`: the recipient; `minutes`: how long the code lives. */
  readonly magic_code: Readonly<Record<"code" | "email" | "minutes", string>>;
  /** `org_name`, `role`, `token`, `url` (where the invite is accepted), `email`: the recipient; `days`: how long it lives. */
  readonly org_invite: Readonly<Record<"org_name" | "role" | "token" | "url" | "email" | "days", string>>;
}

export type AuthMail = {
  readonly [Template in keyof AuthMailVars]: {
    readonly to: string;
    readonly template: Template;
    readonly vars: AuthMailVars[Template];
  };
}[keyof AuthMailVars];

export interface Mailer {
  /** Enqueues a mail; awaits nothing but `tx`. */
  send(mail: AuthMail, tx: Tx): Promise<void>;
}
