// What counts as an email address here. An accepted address is one recipient, in one spelling, with nothing in it that
// a mail header could take for more.

/** RFC 5321 section 4.5.3.1.3, less the angle brackets. */
const MAX_ADDRESS_CHARS = 254;
const MAX_LOCAL_CHARS = 64;

/**
 * ASCII only, as the HTML standard's `input type=email`, with a dot in the domain. Letters beyond ASCII are refused, since
 * several of them fold to ASCII ones (U+212A to "k") and would make two people one; such domains have a punycode spelling.
 */
const ADDRESS =
  /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Trims spaces and tabs. A line break is refused, not trimmed: who sends one is trying out a header. */
function trimBlanks(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, "");
}

/** ASCII letters only: `toLowerCase` would turn U+212A (kelvin) into "k" and let it pass. */
function lowerAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** The one spelling of an address, or null when it is not one. */
export function normaliseEmail(text: string): string | null {
  if (text.length > MAX_ADDRESS_CHARS + MAX_LOCAL_CHARS) return null;
  const address = lowerAscii(trimBlanks(text));
  if (address.length > MAX_ADDRESS_CHARS || address.indexOf("@") > MAX_LOCAL_CHARS) return null;
  return ADDRESS.test(address) ? address : null;
}
