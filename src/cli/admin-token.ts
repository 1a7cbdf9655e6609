// Makes admin tokens: 192 random bits, told apart from session tokens and API keys by their beginning.

import { encodeBase64Url } from "../crypto/base64.ts";

export function createAdminToken(): string {
  return `adm_${encodeBase64Url(crypto.getRandomValues(new Uint8Array(24)))}`;
}
