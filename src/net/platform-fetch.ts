// The `fetch` of the platform, for calls of Pylon's own. Application code and packages may put another one in its place, and
// the guard for functions does.

export const platformFetch: typeof fetch = fetch;
