// `pylon-runtime/flags` as package.json exports it: flags without an instance, as the documentation shows.

import { expect, test } from "bun:test";
import { evaluateFlag, prepareFlag } from "pylon-runtime/flags";

test("evaluates the documentation's example", () => {
  expect(evaluateFlag("ai-suggestions", { enabled: true, rollout: 25 }, { userId: "u_123", nowMs: 0 })).toMatchObject({
    value: true,
    variant: null,
    reason: "SPLIT",
  });
  const flag = prepareFlag("ai-suggestions", { enabled: true, rollout: 25 });
  expect(flag.evaluate({ userId: null, nowMs: 0 })).toMatchObject({ value: false, targetingKeyMissing: true });
});
