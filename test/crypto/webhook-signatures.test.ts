// Standard Webhooks against the published vectors, and everything that a receiver must not take for signed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import vectors from "../../fixtures/vectors/standard-webhooks.json" with { type: "json" };
import { isPylonError } from "../../src/core/errors.ts";
import { encodeBase64 } from "../../src/crypto/base64.ts";
import { ed25519PublicKey } from "../../src/crypto/ed25519.ts";
import { generateWebhookSecret, parseWebhookSecret } from "../../src/crypto/webhook-secret.ts";
import { signWebhook, verifyWebhook } from "../../src/sdk/webhooks.ts";

interface Vector {
  readonly secret: string;
  readonly id: string;
  readonly timestamp: number;
  readonly body: string;
  readonly signature: string;
}

type Raw = Omit<Vector, "body"> & { readonly body?: string; readonly bodyRepeat?: readonly (string | number)[] };

function toVector({ body, bodyRepeat, ...rest }: Raw): Vector {
  return { ...rest, body: body ?? String(bodyRepeat?.[0]).repeat(Number(bodyRepeat?.[1])) };
}

const SYMMETRIC = (vectors.symmetric as readonly Raw[]).map(toVector);
const ED25519 = (vectors.ed25519 as readonly Raw[]).map(toVector);
const PUBLIC_KEY = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const [FIRST] = SYMMETRIC as [Vector];
const { secret: SECRET, id, timestamp, body, signature } = FIRST;
const now = { nowSecs: timestamp };

describe("published vectors", () => {
  for (const [index, vector] of [...SYMMETRIC, ...ED25519].entries()) {
    it(`row ${index} is signed and verified, as text and as bytes`, async () => {
      const { secret, signature, ...message } = vector;
      const bytes = new TextEncoder().encode(message.body);
      assert.deepEqual(await signWebhook({ ...message, secrets: [secret] }), {
        id: message.id,
        timestamp: message.timestamp,
        signature,
      });
      assert.equal((await signWebhook({ ...message, body: bytes, secrets: secret })).signature, signature);
      const headers = { id: message.id, timestamp: String(message.timestamp), signature };
      const at = { nowSecs: message.timestamp };
      assert.equal(await verifyWebhook(secret, headers, message.body, at), true);
      assert.equal(await verifyWebhook(secret, headers, bytes, at), true);
    });
  }

  it("v1a is verified with the public key alone, which the seed gives as well", async () => {
    const [vector] = ED25519 as [Vector];
    const key = parseWebhookSecret(vector.secret);
    assert.ok(key.scheme === "ed25519" && key.seed);
    assert.equal(`whpk_${encodeBase64(await ed25519PublicKey(key.seed))}`, PUBLIC_KEY);
    const seedOnly = `whsk_${encodeBase64(key.seed)}`;
    for (const secret of [PUBLIC_KEY, seedOnly]) {
      assert.equal(await verifyWebhook(secret, vector, vector.body, { nowSecs: vector.timestamp }), true);
    }
    const changed = { nowSecs: vector.timestamp };
    assert.equal(await verifyWebhook(PUBLIC_KEY, vector, `${vector.body} `, changed), "INVALID_SIGNATURE");
  });
});

describe("verifyWebhook()", () => {
  const verify = (header: string, secret: string | readonly string[] = SECRET): Promise<unknown> =>
    verifyWebhook(secret, { id, timestamp, signature: header }, body, now);

  it("takes Headers, plain objects in any case, node's lists, and svix-* when there is no webhook-*", async () => {
    const plain = { "Webhook-Id": id, "webhook-timestamp": String(timestamp), "WEBHOOK-SIGNATURE": signature };
    const svix = { "svix-id": id, "svix-timestamp": [String(timestamp)], "svix-signature": [signature] };
    const beside = { ...plain, signature: "sig1=:of another scheme:", id: "other" };
    for (const headers of [plain, svix, beside, new Headers(plain), { id, timestamp, signature }]) {
      assert.equal(await verifyWebhook(SECRET, headers, body, now), true);
    }
  });

  it("says which header is missing", async () => {
    const all = { id, timestamp, signature };
    assert.equal(await verifyWebhook(SECRET, {}, body, now), "MISSING_ID");
    assert.equal(await verifyWebhook(SECRET, { ...all, id: "" }, body, now), "MISSING_ID");
    assert.equal(await verifyWebhook(SECRET, { ...all, timestamp: undefined }, body, now), "MISSING_TIMESTAMP");
    assert.equal(await verifyWebhook(SECRET, { ...all, signature: null }, body, now), "MISSING_SIGNATURE");
    assert.equal(await verifyWebhook(SECRET, new Headers({ "webhook-id": id }), body, now), "MISSING_TIMESTAMP");
  });

  it("takes a timestamp up to the tolerance away, in both directions, and nothing else", async () => {
    const at = (nowSecs: number, toleranceSecs?: number): Promise<unknown> => {
      const options = toleranceSecs === undefined ? { nowSecs } : { nowSecs, toleranceSecs };
      return verifyWebhook(SECRET, { id, timestamp, signature }, body, options);
    };
    assert.equal(await at(timestamp + 300), true);
    assert.equal(await at(timestamp - 300), true);
    assert.equal(await at(timestamp + 301), "REPLAYED");
    assert.equal(await at(timestamp - 301), "REPLAYED");
    assert.equal(await at(timestamp + 11, 10), "REPLAYED");
    assert.equal(await at(Number.NaN), "REPLAYED");
    assert.equal(await at(timestamp, Number.NaN), "REPLAYED");
    assert.equal(await verifyWebhook(SECRET, { id, timestamp, signature }, body), "REPLAYED", "now is the default");
    for (const bad of ["hello", `${timestamp}.0`, ` ${timestamp}`, `-${timestamp}`, `0${timestamp}`, "1e9"]) {
      const verdict = await verifyWebhook(SECRET, { id, timestamp: bad, signature }, body, now);
      assert.equal(verdict, "INVALID_SIGNATURE", bad);
    }
  });

  it("passes over unknown versions and wrong entries, and finds the right one among them", async () => {
    const wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    const unknown = "v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
    assert.equal(await verify(`${wrong} ${unknown} ${signature} ${wrong}`), true);
    assert.equal(await verify(`${wrong} ${unknown}`), "INVALID_SIGNATURE");
  });

  it("refuses everything that is nearly a signature", async () => {
    const value = signature.slice("v1,".length);
    const near = [
      `v2,${value}`,
      value,
      "v1,",
      "v1",
      "invalid_signature",
      "v1,invalid_signature",
      "v1,dawfeoifkpqwoekfpqoekf",
      signature.slice(0, 8),
      // The last digit has stray bits: it decodes to the same bytes and is another spelling.
      `${signature.slice(0, -2)}A=`,
      signature.replace("=", ""),
      `v1a,${value}`,
      `v1,${value.toLowerCase()}`,
    ];
    for (const header of near) assert.equal(await verify(header), "INVALID_SIGNATURE", header);
  });

  it("refuses another id, body and secret", async () => {
    const all = { id, timestamp, signature };
    assert.equal(await verifyWebhook(SECRET, { ...all, id: `${id}x` }, body, now), "INVALID_SIGNATURE");
    assert.equal(await verifyWebhook(SECRET, all, '{"test": 2432232315}', now), "INVALID_SIGNATURE");
    assert.equal(await verifyWebhook(generateWebhookSecret(), all, body, now), "INVALID_SIGNATURE");
  });

  it("works through a header of a megabyte at once, and does not look at all of it", async () => {
    const flood = `${"v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= ".repeat(20_000)}${signature}`;
    assert.equal(await verify(flood), "INVALID_SIGNATURE");
  });
});

describe("signWebhook()", () => {
  it("signs with each secret in order, symmetric and asymmetric mixed, and each of them verifies", async () => {
    const secrets = [SECRET, generateWebhookSecret(), (ED25519[0] as Vector).secret, "plain text"];
    const signed = await signWebhook({ id, timestamp, body, secrets });
    const versions = signed.signature.split(" ").map((entry) => entry.split(",")[0]);
    assert.deepEqual(versions, ["v1", "v1", "v1a", "v1"]);
    for (const secret of secrets) assert.equal(await verifyWebhook(secret, signed, body, now), true);
    assert.equal(await verifyWebhook(["another", SECRET], signed, body, now), true);
  });

  it("keeps the timestamp as it was given, text or number", async () => {
    const text = await signWebhook({ id, timestamp: String(timestamp), body, secrets: SECRET });
    assert.deepEqual(text, { id, timestamp: String(timestamp), signature });
  });

  it("refuses what a receiver could read in two ways", async () => {
    for (const bad of ["", "a.b", "a b", "a\nb", "é", "x".repeat(257)]) {
      await assert.rejects(
        signWebhook({ id: bad, timestamp, body, secrets: SECRET }),
        coded("WEBHOOK_MESSAGE_INVALID"),
      );
    }
    for (const bad of [1.5, -1, Number.NaN, "161426533.0", "invalid timestamp", ""]) {
      await assert.rejects(
        signWebhook({ id, timestamp: bad, body, secrets: SECRET }),
        coded("WEBHOOK_MESSAGE_INVALID"),
      );
    }
    const object = { id, timestamp, body: { test: 1 } as unknown as string, secrets: SECRET };
    await assert.rejects(signWebhook(object), coded("WEBHOOK_MESSAGE_INVALID"));
  });
});

describe("secrets", () => {
  const malformed = [
    "",
    "whsec_",
    "whsec_%",
    "whsec_wronglength",
    `${SECRET}=`,
    "whsk_",
    `whsk_${encodeBase64(new Uint8Array(33))}`,
    "whpk_AAAA",
    "x".repeat(513),
  ];
  for (const secret of malformed) {
    it(`"${secret.slice(0, 20)}" is refused for signing and for verifying, and not shown`, async () => {
      const secrets = [SECRET, secret];
      await assert.rejects(signWebhook({ id, timestamp, body, secrets }), coded("WEBHOOK_SECRET_INVALID", secret));
      const verifying = verifyWebhook(secrets, { id, timestamp, signature }, body, now);
      await assert.rejects(verifying, coded("WEBHOOK_SECRET_INVALID", secret));
    });
  }

  it("a public key cannot sign, and no secret at all neither signs nor verifies", async () => {
    await assert.rejects(signWebhook({ id, timestamp, body, secrets: PUBLIC_KEY }), coded("WEBHOOK_SECRET_INVALID"));
    await assert.rejects(signWebhook({ id, timestamp, body, secrets: [] }), coded("WEBHOOK_SECRET_INVALID"));
    await assert.rejects(verifyWebhook([], { id, timestamp, signature }, body), coded("WEBHOOK_SECRET_INVALID"));
    for (const none of [undefined, null, [undefined]] as const) {
      const calls = [
        verifyWebhook(none as never, { id, timestamp, signature }, body),
        signWebhook({ id, timestamp, body, secrets: none as never }),
      ];
      for (const call of calls) {
        await assert.rejects(call, (error: Error) => {
          assert.match(error.message, /secret is missing/);
          return coded("WEBHOOK_SECRET_INVALID")(error);
        });
      }
    }
  });

  it("a new one is whsec_ and 24 bytes, never the same", () => {
    const made = Array.from({ length: 100 }, generateWebhookSecret);
    assert.equal(new Set(made).size, made.length);
    for (const secret of made) {
      const key = parseWebhookSecret(secret);
      assert.ok(secret.startsWith("whsec_") && key.scheme === "hmac" && key.key.length === 24);
    }
  });
});

/** An error with this code whose text does not hold the secret. */
function coded(code: string, secret = ""): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isPylonError(error, code), String(error));
    if (secret.length > 6) assert.ok(!error.message.includes(secret));
    return true;
  };
}
