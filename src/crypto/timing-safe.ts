// Equality of secrets. Both sides are reduced to codes under a key that lives as long as the process, and the codes are
// compared without an early exit: neither the length nor the first difference shows in the time that it takes.
import { createHmacSigner, type HmacSigner } from "./hmac.ts";

const KEY_BYTES = 32;
let processSigner: HmacSigner | undefined;

function signer(): HmacSigner {
  return (processSigner ??= createHmacSigner(crypto.getRandomValues(new Uint8Array(KEY_BYTES))));
}

/** Whether two texts or byte strings are the same; a text counts as its UTF-8 bytes. Constant time in where they differ. */
export async function timingSafeEqual(a: string | Uint8Array, b: string | Uint8Array): Promise<boolean> {
  const [left, right] = await Promise.all([signer().sign(a), signer().sign(b)]);
  let difference = 0;
  for (let index = 0; index < left.length; index++) difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  return difference === 0;
}
