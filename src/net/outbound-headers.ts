// The headers of an outbound request: lower-case names, no header that frames the message or belongs to the connection,
// nothing that could start a second header or a second request.

/** What the connection sets by itself. A caller's value for one of these would move the message's boundaries or its host. */
export const RESERVED_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5: no control character but the tab, and only what one byte can carry. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** RFC 9110 section 5.5 without obs-text: runtimes and receivers do not agree on the encoding of anything beyond ASCII. */
const PLAIN_VALUE = /^[\t\x20-\x7e]*$/;
const MAX_NAME_CHARS = 100;

/** Whether a configured header can have this name: a token of at most 100 characters. */
export function isHeaderName(name: string): boolean {
  return name.length <= MAX_NAME_CHARS && TOKEN.test(name);
}

/** Whether a configured header can have this value: ASCII without line breaks. */
export function isHeaderValue(value: string): boolean {
  return PLAIN_VALUE.test(value);
}

/** Whether `method` is one that can be sent: a token, and none that asks a proxy or the connection for something. */
export function isSendableMethod(method: string): boolean {
  return TOKEN.test(method) && !/^(?:CONNECT|TRACE|TRACK)$/i.test(method);
}

const MAX_REMEMBERED_NAMES = 1_000;
const sentNames = new Map<string, string | null | undefined>();

/** How a name is sent: null when it is left out, undefined when it cannot be. The same few names are asked for all the time. */
function sentName(name: string): string | null | undefined {
  if (sentNames.has(name)) return sentNames.get(name);
  if (sentNames.size >= MAX_REMEMBERED_NAMES) sentNames.clear();
  const lower = name.toLowerCase();
  const sent = TOKEN.test(name) ? (RESERVED_HEADERS.has(lower) ? null : lower) : undefined;
  sentNames.set(name, sent);
  return sent;
}

/** `headers` over `defaults` without reserved ones, or undefined when a name or value cannot be sent. */
export function planHeaders(
  headers: Readonly<Record<string, string>>,
  defaults: Readonly<Record<string, string>>,
): Record<string, string> | undefined {
  const planned: Record<string, string> = { ...defaults };
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? "";
    const sent = sentName(name);
    if (sent === undefined || !VALUE.test(value)) return undefined;
    if (sent !== null) planned[sent] = value;
  }
  return planned;
}
