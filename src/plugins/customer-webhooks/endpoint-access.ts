// Who may manage an endpoint or an application's webhooks: whoever the application's own policies let write endpoints. What
// a caller may not see does not exist for them.

import { coreError } from "../../core/errors.ts";
import type { Identity } from "../../core/identity.ts";
import type { Data } from "../../data/data.ts";
import { dataError } from "../../data/data-errors.ts";
import type { Row } from "../../store/store.ts";
import { ENDPOINT } from "./webhook-entities.ts";

function missing(what: string): Error {
  return coreError("NOT_FOUND", { message: `There is no such ${what}` });
}

/** A row that the caller may see. @throws NOT_FOUND */
export async function visibleRow(
  data: Data,
  actor: Identity,
  target: { readonly entity: string; readonly id: string },
): Promise<Row> {
  const row = await data.read({ actor, policies: true, requestId: null }).get(target.entity, target.id);
  if (!row) throw missing(target.entity);
  return row;
}

/** An endpoint that the caller may change, and so may know the secret of. @throws NOT_FOUND, POLICY_DENIED */
export async function managedEndpoint(data: Data, actor: Identity, id: string): Promise<Row> {
  const row = await visibleRow(data, actor, { entity: ENDPOINT, id });
  const { rules } = data.model.entity(ENDPOINT);
  if (!rules.allows("update", actor, { data: row, existing: row })) throw dataError("POLICY_DENIED");
  return row;
}

/**
 * Lets pass who may create endpoints of the application: they can sign whatever they like with a secret of their own, so
 * dispatching gives them nothing more.
 *
 * @throws NOT_FOUND
 */
export function requireManager(data: Data, actor: Identity, applicationId: string): void {
  const { rules, def } = data.model.entity(ENDPOINT);
  const empty = Object.fromEntries(def.fields.map(({ name }) => [name, null]));
  if (rules.allows("insert", actor, { data: { ...empty, applicationId }, existing: null })) return;
  throw missing("application");
}
