// Names of event types and what endpoints subscribe to: a type, everything below a prefix (`invoice.*`), or everything.

const SEGMENT = "[A-Za-z0-9_-]+";
const MAX_TYPE_CHARS = 128;
const TYPE = new RegExp(String.raw`^${SEGMENT}(?:\.${SEGMENT})*$`);
const SUBSCRIPTION = new RegExp(String.raw`^(?:\*|${SEGMENT}(?:\.${SEGMENT})*(?:\.\*)?)$`);

/** What Pylon itself dispatches; a catalogue need not name them. */
export const ENDPOINT_DISABLED_TYPE = "webhook.endpoint.disabled";
export const TEST_TYPE = "webhook.test";
export const SYSTEM_TYPES: readonly string[] = [ENDPOINT_DISABLED_TYPE, TEST_TYPE];

/** Segments of letters, digits, `_` and `-`, joined by full stops (Standard Webhooks, payload structure). */
export function isEventType(text: string): boolean {
  return text.length <= MAX_TYPE_CHARS && TYPE.test(text);
}

/** An event type, a prefix and `.*`, or `*`. */
export function isSubscription(text: string): boolean {
  return text.length <= MAX_TYPE_CHARS && SUBSCRIPTION.test(text);
}

export function isWildcard(subscription: string): boolean {
  return subscription.endsWith("*");
}

/** Whether an endpoint with these subscriptions wants `type`. None means all. */
export function wants(subscriptions: readonly string[], type: string): boolean {
  if (subscriptions.length === 0) return true;
  return subscriptions.some((one) => one === type || (isWildcard(one) && type.startsWith(one.slice(0, -1))));
}
