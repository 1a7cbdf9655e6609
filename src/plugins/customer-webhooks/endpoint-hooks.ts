// What happens around every write of an endpoint, whoever makes it: it is judged, its secret goes to a table of its own in
// the same transaction, and the row that anyone else sees holds none.

import type { Clock } from "../../core/clock.ts";
import { coreError } from "../../core/errors.ts";
import { generateWebhookSecret } from "../../crypto/webhook-secret.ts";
import type { Change, Draft, WriteHooks } from "../../data/change.ts";
import type { Tx } from "../../store/store.ts";
import { normalizeEndpoint, secretProblem } from "./endpoint-input.ts";
import type { EndpointLanes } from "./endpoint-lanes.ts";
import type { EndpointSecrets, SealedSecret } from "./endpoint-secrets.ts";
import type { EventCatalogue } from "./event-catalogue.ts";
import { ENDPOINT } from "./webhook-entities.ts";
import { HEALTH } from "./webhook-tables.ts";

export interface EndpointHooksOptions {
  readonly secrets: EndpointSecrets;
  readonly catalogue: EventCatalogue;
  readonly lanes: EndpointLanes;
  readonly clock: Clock;
}

/** Takes the secret out of a draft; undefined when the write is not about it. */
function takeSecret({ op, data }: Draft): string | undefined {
  const given = typeof data["secret"] === "string" ? data["secret"] : undefined;
  if (op === "insert" || "secret" in data) data["secret"] = null;
  return given ?? (op === "insert" ? generateWebhookSecret() : undefined);
}

export function createEndpointHooks({ secrets, catalogue, lanes, clock }: EndpointHooksOptions): WriteHooks {
  /** Between the two moments of a write, by the object that both see. */
  const sealed = new WeakMap<Draft["data"], SealedSecret>();
  const written = async ({ op, id, draft, before, after }: Change, tx: Tx): Promise<void> => {
    const secret = sealed.get(draft);
    if (secret) await secrets.replace(tx, id, secret);
    const isRevived = before?.disabled === true && after?.disabled === false;
    // Another address, or a customer who says that it works again, starts with a clean record.
    if (op === "update" && (isRevived || before?.url !== after?.url)) await tx.delete(HEALTH, id);
  };
  return {
    entities: new Set([ENDPOINT]),
    async before(draft) {
      if (draft.op === "delete") return;
      const { data } = draft;
      const secret = takeSecret(draft);
      const problems = normalizeEndpoint(data, catalogue);
      const reason = secret === undefined ? null : secretProblem(secret);
      if (reason !== null) problems.push({ path: "secret", message: reason });
      if (problems.length > 0) throw coreError("VALIDATION_FAILED", { details: problems });
      if (draft.op === "insert") data["createdAt"] ??= new Date(clock.now()).toISOString();
      if (secret !== undefined) sealed.set(data, await secrets.seal(secret));
    },
    async within(change, tx) {
      if (change.op !== "delete") return written(change, tx);
      await secrets.forget(tx, change.id);
      await tx.delete(HEALTH, change.id);
    },
    after({ op, id, after }) {
      if (op === "delete" || !after) lanes.forget(id);
      else lanes.learn(after);
    },
  };
}
