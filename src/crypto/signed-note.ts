// Signed notes and the checkpoints of logs (C2SP signed-note, tlog-checkpoint) with Ed25519. Reading is strict, so that one
// note has one spelling; a signature by a key that nobody asked for is passed over.

import { decodeBase64, encodeBase64 } from "./base64.ts";
import { ED25519_KEY_BYTES, type Ed25519Signer, verifyEd25519 } from "./ed25519.ts";
import { decodeHex, encodeHex } from "./hex.ts";
import { equalBytes } from "./merkle-proof.ts";
import { HASH_BYTES } from "./merkle-tree.ts";
import type { Sha256 } from "./sha256.ts";
import { type Bytes, toBytes } from "./utf8.ts";

const ED25519_TYPE = 0x01;
const KEY_ID_BYTES = 4;
const SIGNATURE_BYTES = 64;
const MAX_SIGNATURES = 64;
const SIGNATURE_LINE = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;
const SIZE_LINE = /^(?:0|[1-9][0-9]{0,15})$/;

/** A key that can check notes. */
export interface Verifier {
  readonly name: string;
  readonly keyId: Bytes;
  readonly publicKey: Bytes;
}

export interface NoteSigner extends Verifier {
  sign(text: string): Promise<Bytes>;
}

export interface Note {
  /** With its last line feed. */
  readonly text: string;
  readonly signatures: readonly { readonly name: string; readonly keyId: Bytes; readonly signature: Bytes }[];
}

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
}

function join(...parts: readonly Uint8Array[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const typed = (publicKey: Uint8Array): Bytes => join(Uint8Array.of(ED25519_TYPE), publicKey);

/** @throws RangeError for an empty name, white space or a plus sign in it, and for a key that is none. */
export function createVerifier(sha256: Sha256, name: string, publicKey: Uint8Array): Verifier {
  if (!/^[^\s+]+$/.test(name)) throw new RangeError("A key's name has no white space and no plus sign");
  if (publicKey.length !== ED25519_KEY_BYTES) throw new RangeError("An Ed25519 key has 32 bytes");
  const keyId = sha256(join(toBytes(`${name}\n`), typed(publicKey))).slice(0, KEY_ID_BYTES);
  return { name, keyId, publicKey: toBytes(publicKey) };
}

export function createNoteSigner(sha256: Sha256, name: string, signer: Ed25519Signer): NoteSigner {
  return { ...createVerifier(sha256, name, signer.publicKey), sign: (text) => signer.sign(text) };
}

/** `name+<key id in hex>+<base64 of type and key>`: what `sumdb/note` calls a verifier key. */
export function formatVerifierKey({ name, keyId, publicKey }: Verifier): string {
  return `${name}+${encodeHex(keyId)}+${encodeBase64(typed(publicKey))}`;
}

/** Undefined when the text is no Ed25519 verifier key, or its id is not the key's. */
export function parseVerifierKey(sha256: Sha256, text: string): Verifier | undefined {
  const [, name = "", id = "", key = ""] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  const [keyId, bytes] = [decodeHex(id), decodeBase64(key)];
  if (bytes?.length !== ED25519_KEY_BYTES + 1 || bytes[0] !== ED25519_TYPE || !keyId) return undefined;
  const verifier = createVerifier(sha256, name, bytes.subarray(1));
  return equalBytes(verifier.keyId, keyId) ? verifier : undefined;
}

/** Signs a text, which ends with a line feed. */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  const signature = encodeBase64(join(signer.keyId, await signer.sign(text)));
  return `${text}\n\u2014 ${signer.name} ${signature}\n`;
}

/** Undefined when the text is no signed note. Signatures are not checked. */
export function parseNote(note: string): Note | undefined {
  const end = note.lastIndexOf("\n\n");
  if (end < 0 || !note.endsWith("\n") || note.includes("\r")) return undefined;
  const lines = note.slice(end + 2, -1).split("\n");
  if (lines.length > MAX_SIGNATURES) return undefined;
  const signatures = lines.map((line) => {
    const [, name = "", encoded = ""] = SIGNATURE_LINE.exec(line) ?? [];
    const blob = decodeBase64(encoded);
    if (!blob || blob.length <= KEY_ID_BYTES) return undefined;
    return { name, keyId: blob.slice(0, KEY_ID_BYTES), signature: blob.slice(KEY_ID_BYTES) };
  });
  if (!signatures.every((signature) => signature !== undefined)) return undefined;
  return { text: note.slice(0, end + 1), signatures };
}

/** Whether one of `verifiers` has signed, and no signature in the name and id of one of them is bad. */
export async function verifyNote(note: Note, verifiers: readonly Verifier[]): Promise<boolean> {
  let isSigned = false;
  for (const { name, keyId, signature } of note.signatures) {
    const verifier = verifiers.find((known) => known.name === name && equalBytes(known.keyId, keyId));
    if (!verifier) continue;
    if (signature.length !== SIGNATURE_BYTES) return false;
    if (!(await verifyEd25519(verifier.publicKey, note.text, signature))) return false;
    isSigned = true;
  }
  return isSigned;
}

/** The text of a checkpoint: origin, size, root. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${encodeBase64(root)}\n`;
}

/** Undefined when the text is no checkpoint. Extension lines are allowed and passed over. */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const [origin = "", size = "", encoded = "", ...rest] = text.split("\n");
  const root = decodeBase64(encoded);
  if (origin === "" || !SIZE_LINE.test(size) || root?.length !== HASH_BYTES) return undefined;
  if (rest.length === 0 || rest.pop() !== "" || rest.includes("")) return undefined;
  const count = Number(size);
  return Number.isSafeInteger(count) ? { origin, size: count, root } : undefined;
}
