// What a platform gives so that a connection goes to an address that was checked, and nowhere else.

/** A request on its way to one address. */
export interface DialInit {
  /** In upper case. */
  readonly method: string;
  /** Names in lower case. The object is the call's own: the dialer sets `host` in it, from the URL. */
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | undefined;
  /** Ends the call in whatever state it is, the reading of the body included. */
  readonly signal: AbortSignal;
  /** Whether the body is to be decompressed. Without it `content-encoding` and the bytes stay as they came. */
  readonly decompress: boolean;
  /** How many calls of the same client are under way, this one included: a platform may serve a crowd differently. */
  readonly inFlight: number;
}

/**
 * Connects on behalf of `net/`. Rejections carry the platform's own `code`; {@link failureOf} in `net-failure.ts` reads it.
 */
export interface Dialer {
  /** Every address of a name, as the system resolves it, in its order. Rejects when there is none. */
  resolve(host: string): Promise<readonly string[]>;
  /**
   * Sends one request to `address` (a literal without brackets) and gives the response as it comes: 3xx included, the
   * body unread. The `Host` header and the name that the certificate is checked for are those of `url`. It
   * looks nothing up, follows no redirect, uses no proxy and accepts no certificate that does not verify, whatever the
   * environment says; response headers are bounded at 1 MiB or less, and a body without transfer coding ends where `content-length` says.
   */
  fetchPinned(url: URL, address: string, init: DialInit): Promise<Response>;
}
