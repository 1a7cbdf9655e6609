// The secrets of endpoints: sealed in a table of their own, several live at once while they are being rotated. They are
// opened to sign and to be shown to who may manage the endpoint, and are in no row, log, error or audit entry.

import type { Clock } from "../../core/clock.ts";
import type { UlidSource } from "../../core/ids.ts";
import type { HmacSigner } from "../../crypto/hmac.ts";
import type { SecretBox } from "../../crypto/secret-box.ts";
import { createWebhookSigner, type WebhookSigner } from "../../crypto/sign-webhook.ts";
import type { Condition, Reader, Row, Tx } from "../../store/store.ts";
import { customerWebhookError } from "./webhook-errors.ts";
import { SECRETS } from "./webhook-tables.ts";

/** Secrets of one endpoint that sign at once, the current one included. */
const MAX_LIVE = 11;
/** Rows of one endpoint that are looked at: more than there ever are, since a rotation removes what has expired. */
const MAX_ROWS = 100;
const MAX_SIGNERS = 5_000;
const MAX_PROBED = 20;

/** A secret that is ready to be stored. */
export interface SealedSecret {
  readonly id: string;
  readonly sealed: string;
}

export interface EndpointSecrets {
  /** Ahead of the transaction: sealing waits for WebCrypto. */
  seal(secret: string): Promise<SealedSecret>;
  /** Stores the only secret of an endpoint; earlier ones are gone. */
  replace(tx: Tx, endpointId: string, secret: SealedSecret): Promise<void>;
  /** Stores a new secret; the ones before sign for `graceMs` more. @throws TOO_MANY_SECRETS */
  rotate(
    tx: Tx,
    endpointId: string,
    change: { readonly secret: SealedSecret; readonly graceMs: number },
  ): Promise<void>;
  forget(tx: Tx, endpointId: string): Promise<void>;
  /** The current secret; undefined when there is none. @throws SECRET_UNREADABLE */
  current(reader: Reader, endpointId: string): Promise<string | undefined>;
  /**
   * By endpoint, one for each live secret that can be opened, oldest first: none when there are some and none can. Endpoints
   * without a live secret are left out.
   */
  signersOf(reader: Reader, endpointIds: readonly string[]): Promise<ReadonlyMap<string, readonly WebhookSigner[]>>;
  /** Opens a few secrets, so that a key that is not theirs is in the log before the first delivery fails. */
  probe(reader: Reader): Promise<void>;
  /** Removes secrets whose grace is over; answers how many. */
  sweep(tx: Tx, limit: number): Promise<number>;
}

export interface EndpointSecretsOptions {
  readonly box: SecretBox;
  readonly clock: Clock;
  readonly ulid: UlidSource;
  readonly createHmac: (key: Uint8Array) => HmacSigner;
  /** Told once that secrets are stored which the key does not open. */
  readonly onUnreadable: () => void;
}

function ofEndpoint(endpointId: string): Condition {
  return ofEndpoints([endpointId]);
}

function ofEndpoints(endpointIds: readonly string[]): Condition {
  const [first = "", ...others] = endpointIds;
  if (others.length === 0) return { column: "endpointId", op: "eq", value: first };
  return { column: "endpointId", op: "in", values: endpointIds };
}

/** Opens what is stored; undefined is what the key does not open. */
function createOpener({ box, createHmac, onUnreadable }: EndpointSecretsOptions) {
  let isTold = false;
  /** By the stored text, so that a busy endpoint's secret is opened and its key imported once. */
  const signersOf = new Map<string, WebhookSigner>();
  const open = async ({ id, sealed }: Row): Promise<string | undefined> => {
    const secret = await box.open(sealed as string, id);
    if (secret === undefined && !isTold) {
      isTold = true;
      onUnreadable();
    }
    return secret;
  };
  const signerOf = async (row: Row): Promise<WebhookSigner | undefined> => {
    const sealed = row.sealed as string;
    const known = signersOf.get(sealed);
    if (known) return known;
    const secret = await open(row);
    if (secret === undefined) return undefined;
    const signer = createWebhookSigner(secret, createHmac);
    if (signersOf.size >= MAX_SIGNERS) signersOf.clear();
    signersOf.set(sealed, signer);
    return signer;
  };
  return { open, signerOf };
}

export function createEndpointSecrets(options: EndpointSecretsOptions): EndpointSecrets {
  const { box, clock, ulid } = options;
  const { open, signerOf } = createOpener(options);
  /** Oldest first. */
  const liveRows = async (reader: Reader, ...endpointIds: readonly string[]): Promise<Row[]> => {
    const rows = await reader.find(SECRETS, {
      where: [ofEndpoints(endpointIds)],
      // The current ones, which have no end, come first: whatever else has piled up, they are among them.
      order: { column: "expiresAt", descending: false },
      limit: MAX_ROWS * endpointIds.length,
    });
    const now = clock.now();
    const live = rows.filter(({ expiresAt }) => expiresAt === null || (expiresAt as number) > now);
    return live.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  };
  const add = async (tx: Tx, endpointId: string, { id, sealed }: SealedSecret): Promise<void> => {
    await tx.insert(SECRETS, { id, endpointId, sealed, createdAt: clock.now(), expiresAt: null });
  };
  const removeAll = async (tx: Tx, where: readonly Condition[]): Promise<void> => {
    while ((await tx.deleteWhere(SECRETS, where, MAX_ROWS)) === MAX_ROWS);
  };
  const forget = (tx: Tx, endpointId: string): Promise<void> => removeAll(tx, [ofEndpoint(endpointId)]);
  return {
    async seal(secret) {
      const id = ulid(clock.now());
      return { id, sealed: await box.seal(secret, id) };
    },
    async replace(tx, endpointId, secret) {
      await forget(tx, endpointId);
      await add(tx, endpointId, secret);
    },
    async rotate(tx, endpointId, { secret, graceMs }) {
      const endsAt = clock.now() + graceMs;
      const live = await liveRows(tx, endpointId);
      if (graceMs > 0 && live.length >= MAX_LIVE) throw customerWebhookError("TOO_MANY_SECRETS");
      const expired: Condition = { column: "expiresAt", op: "lte", value: clock.now() };
      await removeAll(tx, graceMs === 0 ? [ofEndpoint(endpointId)] : [ofEndpoint(endpointId), expired]);
      for (const { id, expiresAt } of graceMs === 0 ? [] : live) {
        // One that ends earlier still does.
        if (expiresAt === null || (expiresAt as number) > endsAt) await tx.update(SECRETS, id, { expiresAt: endsAt });
      }
      await add(tx, endpointId, secret);
    },
    forget,
    async current(reader, endpointId) {
      const row = (await liveRows(reader, endpointId)).findLast(({ expiresAt }) => expiresAt === null);
      if (!row) return undefined;
      const secret = await open(row);
      if (secret === undefined) throw customerWebhookError("SECRET_UNREADABLE");
      return secret;
    },
    async signersOf(reader, endpointIds) {
      const found = new Map<string, WebhookSigner[]>();
      for (const row of await liveRows(reader, ...endpointIds)) {
        const endpointId = row.endpointId as string;
        const signers = found.get(endpointId) ?? [];
        found.set(endpointId, signers);
        const signer = await signerOf(row);
        if (signer) signers.push(signer);
      }
      return found;
    },
    async probe(reader) {
      const newest = { column: "id", descending: true };
      for (const row of await reader.find(SECRETS, { order: newest, limit: MAX_PROBED })) await open(row);
    },
    sweep: (tx, limit) => tx.deleteWhere(SECRETS, [{ column: "expiresAt", op: "lte", value: clock.now() }], limit),
  };
}
