// Signed notes against the examples of their specification and RFC 8032, and against everything that is nearly one.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createEd25519Signer, deriveSeed, verifyEd25519 } from "../../src/crypto/ed25519.ts";
import { decodeHex, encodeHex } from "../../src/crypto/hex.ts";
import { portableSha256 as sha256 } from "../../src/crypto/sha256.ts";
import {
  createNoteSigner,
  formatCheckpoint,
  formatVerifierKey,
  type Note,
  parseCheckpoint,
  parseNote,
  parseVerifierKey,
  signNote,
  type Verifier,
  verifyNote,
} from "../../src/crypto/signed-note.ts";

const bytes = (hex: string): Uint8Array => decodeHex(hex) as Uint8Array;

/** The example of C2SP signed-note. */
const KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE =
  "This is an example message.\n\n" +
  "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

describe("Ed25519", () => {
  it("gives the key and the signature of RFC 8032, test 2", async () => {
    const signer = await createEd25519Signer(bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
    assert.equal(encodeHex(signer.publicKey), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const signature = await signer.sign(bytes("72"));
    assert.equal(
      encodeHex(signature),
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    );
    assert.ok(await verifyEd25519(signer.publicKey, bytes("72"), signature));
    assert.ok(!(await verifyEd25519(signer.publicKey, bytes("73"), signature)));
    assert.ok(!(await verifyEd25519(signer.publicKey.slice(1), bytes("72"), signature)));
    assert.ok(!(await verifyEd25519(signer.publicKey, bytes("72"), signature.slice(1))));
  });

  it("derives a seed for one purpose", async () => {
    const [one, two] = [await deriveSeed("secret", "a"), await deriveSeed("secret", "b")];
    assert.notDeepEqual(one, two);
    assert.deepEqual(one, await deriveSeed(new TextEncoder().encode("secret"), "a"));
    await assert.rejects(deriveSeed("", "a"), RangeError);
    await assert.rejects(createEd25519Signer(one.slice(1)), RangeError);
  });

  it("derives what RFC 5869 derives without a salt (test 3)", async () => {
    const seed = await deriveSeed(bytes("0b".repeat(22)), "");
    assert.equal(encodeHex(seed), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
  });
});

describe("signed notes", () => {
  it("reads the verifier key of the specification and writes it again", () => {
    const verifier = parseVerifierKey(sha256, KEY) as Verifier;
    assert.equal(verifier.name, "example.com/foo");
    assert.equal(formatVerifierKey(verifier), KEY);
    for (const wrong of [KEY.replace("530d903a", "530d903b"), `${KEY}=`, KEY.replace("+530", " 530"), "", "a+b+c"]) {
      assert.equal(parseVerifierKey(sha256, wrong), undefined, wrong);
    }
  });

  it("checks the note of the specification", async () => {
    const verifier = parseVerifierKey(sha256, KEY) as Verifier;
    assert.ok(await verifyNote(parseNote(EXAMPLE) as Note, [verifier]));
    const changed = parseNote(EXAMPLE.replace("example message", "exbmple message")) as Note;
    assert.ok(!(await verifyNote(changed, [verifier])));
    assert.ok(!(await verifyNote(parseNote(EXAMPLE) as Note, [])));
  });

  it("passes over signatures of others, and not over a bad one of its own", async () => {
    const [mine, other] = [
      createNoteSigner(sha256, "log.example/a", await createEd25519Signer(new Uint8Array(32).fill(1))),
      createNoteSigner(sha256, "witness.example", await createEd25519Signer(new Uint8Array(32).fill(2))),
    ];
    const text = formatCheckpoint({ origin: "log.example/a", size: 7, root: new Uint8Array(32).fill(3) });
    const [note, cosigned] = [await signNote(text, mine), await signNote(text, other)];
    const both = note + cosigned.slice(text.length + 1);
    assert.equal(parseNote(both)?.signatures.length, 2);
    assert.ok(await verifyNote(parseNote(both) as Note, [mine]));
    assert.ok(await verifyNote(parseNote(both) as Note, [mine, other]));
    assert.ok(!(await verifyNote(parseNote(cosigned) as Note, [mine])));
    const forged = parseNote(
      `${note}\u2014 ${mine.name} ${note.trimEnd().split(" ").at(-1)?.replace(/.{4}$/, "AAA=")}\n`,
    );
    assert.ok(forged && !(await verifyNote(forged, [mine])));
  });

  it("takes a checkpoint in one spelling only", () => {
    const root = new Uint8Array(32).fill(9);
    const text = formatCheckpoint({ origin: "log.example/a", size: 12, root });
    assert.deepEqual(parseCheckpoint(text), { origin: "log.example/a", size: 12, root });
    assert.ok(parseCheckpoint(`${text}an extension\n`));
    for (const wrong of [
      text.replace("12", "012"),
      text.replace("12", "-1"),
      text.trimEnd(),
      `${text}\n`,
      "\n1\n\n",
      "",
    ]) {
      assert.equal(parseCheckpoint(wrong), undefined, JSON.stringify(wrong));
    }
    for (const wrong of [
      EXAMPLE.trimEnd(),
      EXAMPLE.replace("\n\n", "\n"),
      EXAMPLE.replaceAll("\n", "\r\n"),
      "",
      "\n\n",
    ]) {
      assert.equal(parseNote(wrong), undefined, JSON.stringify(wrong));
    }
  });
});
