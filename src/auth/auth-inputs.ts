// The inputs of the auth routes. Unknown fields are refused, every text has a length, and an address comes out in its one
// spelling.

import { z } from "zod";
import { normaliseEmail } from "./email-address.ts";
import { isIdentityRole, ORG_ROLES } from "./organisation-roles.ts";

const MAX_EMAIL_CHARS = 320;
const MAX_ID_CHARS = 255;
const MAX_NAME_CHARS = 100;
const MAX_CODE_CHARS = 16;
const MAX_TOKEN_CHARS = 100;
const MAX_ROLES = 50;
const MAX_KEY_DAYS = 3_650;

/** Codes below U+0020 and U+007F: a name may end up in the subject of a mail. */
function hasControls(text: string): boolean {
  for (const char of text) if (char < " " || char === "\u007F") return true;
  return false;
}

const id = z.string().min(1).max(MAX_ID_CHARS);

const name = z
  .string()
  .trim()
  .min(1)
  .max(MAX_NAME_CHARS)
  .refine((text) => !hasControls(text), "Must not hold control characters");

const email = z
  .string()
  .max(MAX_EMAIL_CHARS)
  .transform((text, context) => {
    const address = normaliseEmail(text);
    if (address !== null) return address;
    context.addIssue({ code: "custom", message: "Is not an email address" });
    return z.NEVER;
  });

const role = z.string().min(1).max(MAX_NAME_CHARS);
/** A grant of `org:owner` would pretend a membership. */
const grantedRole = role.refine((text) => !isIdentityRole(text), "Comes only from a membership");
const orgRole = z.enum(ORG_ROLES);

export const magicSendInput = z.strictObject({ email });

/** People type and paste codes with spaces. A malformed code is a wrong code, not a malformed request. */
export const magicVerifyInput = z.strictObject({
  email,
  code: z
    .string()
    .max(MAX_CODE_CHARS)
    .transform((text) => text.replaceAll(" ", "")),
});

export const mintSessionInput = z.strictObject({
  user_id: id,
  tenant_id: id.nullish(),
  roles: z.array(grantedRole).max(MAX_ROLES).optional(),
});

export const selectOrgInput = z.strictObject({ orgId: id.nullable() });
export const createOrgInput = z.strictObject({ name });
export const changeRoleInput = z.strictObject({ role: orgRole });
export const createInviteInput = z.strictObject({ email, role: orgRole.default("member") });
export const inviteTokenParam = z.strictObject({ token: z.string().min(1).max(MAX_TOKEN_CHARS) });

export const createApiKeyInput = z.strictObject({
  name,
  roles: z.array(role).max(MAX_ROLES).optional(),
  expires_in_days: z.number().int().min(1).max(MAX_KEY_DAYS).optional(),
  user_id: id.nullish(),
  tenant_id: id.nullish(),
});
