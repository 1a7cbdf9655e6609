// The inputs of the auth routes: normalised when they fit, refused when anything in them is too much.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { z } from "zod";
import * as inputs from "../../src/auth/auth-inputs.ts";

const accepted: readonly (readonly [z.ZodType, unknown, unknown])[] = [
  [inputs.magicSendInput, { email: " Ann@Example.com" }, { email: "ann@example.com" }],
  [inputs.magicVerifyInput, { email: "a@b.co", code: " 123 456" }, { email: "a@b.co", code: "123456" }],
  [inputs.mintSessionInput, { user_id: "u1" }, { user_id: "u1" }],
  [inputs.selectOrgInput, { orgId: null }, { orgId: null }],
  [inputs.createOrgInput, { name: " Acme " }, { name: "Acme" }],
  [inputs.createInviteInput, { email: "a@b.co" }, { email: "a@b.co", role: "member" }],
  [inputs.changeRoleInput, { role: "owner" }, { role: "owner" }],
  [inputs.createApiKeyInput, { name: "CI", roles: ["org:owner"] }, { name: "CI", roles: ["org:owner"] }],
  [inputs.inviteTokenParam, { token: "inv_1" }, { token: "inv_1" }],
];

const refused: readonly (readonly [z.ZodType, unknown])[] = [
  [inputs.magicSendInput, {}],
  [inputs.magicSendInput, { email: "a@b.co\r\nBcc: c@d.co" }],
  [inputs.magicSendInput, { email: ["a@b.co"] }],
  [inputs.magicSendInput, { email: `${"a".repeat(400)}@b.co` }],
  [inputs.magicSendInput, { email: "a@b.co", admin: true }],
  [inputs.magicVerifyInput, { email: "a@b.co", code: 123_456 }],
  [inputs.magicVerifyInput, { email: "a@b.co", code: "1".repeat(17) }],
  [inputs.mintSessionInput, { user_id: "" }],
  [inputs.mintSessionInput, { user_id: "u1", roles: ["org:owner"] }],
  [inputs.mintSessionInput, { user_id: "u1", is_admin: true }],
  [inputs.selectOrgInput, {}],
  [inputs.createOrgInput, { name: "  " }],
  [inputs.createOrgInput, { name: "Acme\nBcc: c@d.co" }],
  [inputs.createOrgInput, { name: "x".repeat(101) }],
  [inputs.createInviteInput, { email: "a@b.co", role: "root" }],
  [inputs.createApiKeyInput, { name: "CI", expires_in_days: 0 }],
  [inputs.createApiKeyInput, { name: "CI", roles: Array.from({ length: 51 }, () => "a") }],
];

describe("auth inputs", () => {
  it("come out normalised", () => {
    for (const [schema, input, output] of accepted) assert.deepEqual(schema.parse(input), output);
  });

  it("refuse what does not fit, and unknown fields", () => {
    for (const [schema, input] of refused) assert.equal(schema.safeParse(input).success, false, JSON.stringify(input));
  });
});
