// What may be configured as the target of outbound requests. Whether its address may be reached is the guard's to say, each
// time that something is sent.

export const MAX_TARGET_CHARS = 2_048;

/** Whether `text` is an http(s) URL without user information. */
export function isTargetUrl(text: string): boolean {
  // The URL parser drops line breaks and tabs, and what is stored beside a delivery would not be what was parsed.
  if (text.length > MAX_TARGET_CHARS || /[\x00-\x1f\x7f]/.test(text)) return false;
  const url = URL.parse(text);
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:")) return false;
  return url.username === "" && url.password === "";
}
