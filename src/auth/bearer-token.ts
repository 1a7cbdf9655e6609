// The shapes of tokens and how a header carries one.

import { randomHex } from "../core/ids.ts";

/** Bounds what is hashed and parsed for a stranger; a JWT with many roles stays below it. */
const MAX_TOKEN_CHARS = 8192;
const SCHEME = /^Bearer +([^\s,]+) *$/i;
const SESSION_TOKEN = /^pylon_[0-9a-f]{64}$/;
const API_KEY_ID = /^[0-9a-f]{24}$/;
const API_KEY = /^pk_([0-9a-f]{24})_[0-9a-f]{64}$/;

const TOKEN_BYTES = 32;
const API_KEY_ID_BYTES = 12;

/** The token of an `Authorization` header (RFC 6750 section 2.1), or null when it carries none of that scheme. */
export function parseBearer(header: string): string | null {
  if (header.length > MAX_TOKEN_CHARS) return null;
  return SCHEME.exec(header)?.[1] ?? null;
}

export function isSessionToken(token: string): boolean {
  return SESSION_TOKEN.test(token);
}

/** The public part of an API key, or null when the token is not shaped like one. */
export function apiKeyIdOf(token: string): string | null {
  return API_KEY.exec(token)?.[1] ?? null;
}

/** Whether `text` is shaped like the public part of one. */
export function isApiKeyId(text: string): boolean {
  return API_KEY_ID.test(text);
}

/** 256 random bits: nothing that can be guessed, so its plain SHA-256 may be stored. */
export function newSessionToken(): string {
  return `pylon_${randomHex(TOKEN_BYTES)}`;
}

export function newInviteToken(): string {
  return `inv_${randomHex(TOKEN_BYTES)}`;
}

export function newApiKey(): { readonly id: string; readonly key: string } {
  const id = randomHex(API_KEY_ID_BYTES);
  return { id, key: `pk_${id}_${randomHex(TOKEN_BYTES)}` };
}
