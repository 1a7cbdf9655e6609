// What an entry's signature and leaf are made of, written down from the contract and not taken from the product: a mistake there
// must not be made here as well.

import type { AuditEntry } from "../../../src/plugins/audit-log/audit-entry.ts";

export function signedFields(entry: AuditEntry): readonly (string | null)[] {
  const { logId, id, actorType, actorId, tenantId, entity, rowId, operation, payloadHash, createdAt } = entry;
  const what = [entity, rowId, operation, payloadHash, createdAt];
  return ["pylon-audit-v1", logId, id, actorType, actorId, tenantId, ...what];
}
