// The constant identities are shared by every request, so nothing may change them.

import { describe, it } from "node:test";
import assert from "node:assert/strict";

import { ADMIN, ANONYMOUS, SYSTEM } from "../../src/core/identity.ts";
import { isJson } from "../../src/core/json.ts";

describe("constant identities", () => {
  for (const identity of [ANONYMOUS, ADMIN, SYSTEM]) {
    it(`${identity.kind} is frozen, and fits into a job`, () => {
      assert.ok(Object.isFrozen(identity) && Object.isFrozen(identity.roles));
      assert.ok(isJson(identity));
      assert.deepEqual([identity.userId, identity.email, identity.tenantId], [null, null, null]);
    });
  }

  it("give rights to the admin and to Pylon itself, to nobody else", () => {
    assert.deepEqual(
      [ANONYMOUS, ADMIN, SYSTEM].map((identity) => identity.isAdmin),
      [false, true, true],
    );
  });
});
