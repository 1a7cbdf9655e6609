// What we sign the reference libraries verify, and what they sign we verify, whatever the bytes, the secrets and their
// number; and whatever a stranger changes, both refuse.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Webhook as Standard } from "standardwebhooks";
import { Webhook as Svix } from "svix";
import { encodeBase64 } from "../../src/crypto/base64.ts";
import { signWebhook, verifyWebhook } from "../../src/sdk/webhooks.ts";

const RUNS = { numRuns: 200 };
const secret = fc.uint8Array({ minLength: 1, maxLength: 64 }).map((key) => `whsec_${encodeBase64(key)}`);
const secrets = fc.array(secret, { minLength: 1, maxLength: 5 });
const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/);
/** The libraries take text or UTF-8; they parse the body as JSON once it is verified. */
const jsonBody = fc.json();
/** Half a surrogate pair has no bytes. */
const textBody = fc.string({ unit: "grapheme" });
const nowSecs = (): number => Math.floor(Date.now() / 1000);

interface Reference {
  readonly name: string;
  readonly prefix: string;
  sign(secret: string, id: string, timestamp: number, body: string): string;
  verify(secret: string, headers: Record<string, string>, body: string): unknown;
}

const REFERENCES: readonly Reference[] = [
  {
    name: "standardwebhooks",
    prefix: "webhook-",
    sign: (key, id, timestamp, body) => new Standard(key).sign(id, new Date(timestamp * 1000), body),
    verify: (key, headers, body) => new Standard(key).verify(body, headers),
  },
  {
    name: "svix",
    prefix: "svix-",
    sign: (key, id, timestamp, body) => new Svix(key).sign(id, new Date(timestamp * 1000), body),
    verify: (key, headers, body) => new Svix(key).verify(body, headers),
  },
];

function headersOf(prefix: string, id: string, timestamp: number, signature: string): Record<string, string> {
  return { [`${prefix}id`]: id, [`${prefix}timestamp`]: String(timestamp), [`${prefix}signature`]: signature };
}

function accepts(reference: Reference, key: string, headers: Record<string, string>, body: string): boolean {
  try {
    reference.verify(key, headers, body);
    return true;
  } catch {
    return false;
  }
}

for (const reference of REFERENCES) {
  describe(`beside the package ${reference.name}`, () => {
    it("what we sign with any set of secrets, it verifies with each of them", () =>
      fc.assert(
        fc.asyncProperty(secrets, id, jsonBody, async (keys, message, body) => {
          const timestamp = nowSecs();
          const { signature } = await signWebhook({ id: message, timestamp, body, secrets: keys });
          const headers = headersOf(reference.prefix, message, timestamp, signature);
          for (const key of keys) assert.ok(accepts(reference, key, headers, body));
        }),
        RUNS,
      ));

    it("what it signs, we verify, as text and as bytes", () =>
      fc.assert(
        fc.asyncProperty(secret, id, textBody, async (key, message, body) => {
          const timestamp = nowSecs();
          const headers = headersOf(
            reference.prefix,
            message,
            timestamp,
            reference.sign(key, message, timestamp, body),
          );
          const bytes = new TextEncoder().encode(body);
          assert.equal(await verifyWebhook(key, headers, body), true);
          assert.equal(await verifyWebhook(["another secret", key], new Headers(headers), bytes), true);
        }),
        RUNS,
      ));

    it("whatever is changed in body, id, time or signature, both refuse", () =>
      fc.assert(
        fc.asyncProperty(
          secret,
          id,
          jsonBody,
          fc.record({ at: fc.nat(), part: fc.constantFrom(0, 1, 2, 3) }),
          async (key, message, body, { at, part }) => {
            const timestamp = nowSecs();
            const { signature } = await signWebhook({ id: message, timestamp, body, secrets: key });
            const parts = [body, message, String(timestamp), signature];
            const original = parts[part] as string;
            const place = at % original.length;
            // Behind "v1," of the signature: an unknown version would be passed over by both as well.
            const changed =
              original.slice(0, place) + (original[place] === "1" ? "2" : "1") + original.slice(place + 1);
            parts[part] = changed;
            const [newBody = "", newId = "", newTime = "", newSignature = ""] = parts;
            const headers = headersOf(reference.prefix, newId, Number(newTime), newSignature);
            assert.notEqual(await verifyWebhook(key, headers, newBody), true);
            assert.ok(!accepts(reference, key, headers, newBody));
          },
        ),
        RUNS,
      ));

    it("more than 300 seconds away, both refuse", () =>
      fc.assert(
        fc.asyncProperty(
          secret,
          id,
          fc.integer({ min: 305, max: 1_000_000 }),
          fc.boolean(),
          async (key, message, away, ahead) => {
            const timestamp = nowSecs() + (ahead ? away : -away);
            const { signature } = await signWebhook({ id: message, timestamp, body: "{}", secrets: key });
            const headers = headersOf(reference.prefix, message, timestamp, signature);
            assert.equal(await verifyWebhook(key, headers, "{}"), "REPLAYED");
            assert.ok(!accepts(reference, key, headers, "{}"));
          },
        ),
        RUNS,
      ));
  });
}

describe("any bytes, any secrets", () => {
  const anySecret = fc.oneof(
    secret,
    fc.string({ minLength: 1, maxLength: 40, unit: "grapheme" }).filter((text) => !/^wh(?:sec|sk|pk)_/.test(text)),
    fc.uint8Array({ minLength: 32, maxLength: 32 }).map((seed) => `whsk_${encodeBase64(seed)}`),
  );

  it("each of the secrets that signed verifies, and one changed byte does not", () =>
    fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(anySecret, { minLength: 1, maxLength: 4 }),
        id,
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.nat(),
        async (keys, message, body, at) => {
          const signed = await signWebhook({ id: message, timestamp: 1_700_000_000, body, secrets: keys });
          const now = { nowSecs: 1_700_000_000 };
          for (const key of keys) assert.equal(await verifyWebhook(key, signed, body, now), true);
          const changed = Uint8Array.from(body);
          changed[at % body.length] = ((changed[at % body.length] ?? 0) + 1) % 256;
          assert.equal(await verifyWebhook(keys, signed, changed, now), "INVALID_SIGNATURE");
        },
      ),
      RUNS,
    ));
});
