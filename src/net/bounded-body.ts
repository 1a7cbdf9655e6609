// Reads the beginning of a body and lets go of the rest. Never holds more than the bound and one chunk. What has come is kept
// where whoever gives up on the rest still finds it.

export interface BoundedBody {
  readonly bytes: Uint8Array;
  /** Whether the body was longer than `bytes`, or at least as long as was read. */
  readonly truncated: boolean;
}

/** What has come of a body so far. */
export interface Received {
  readonly chunks: Uint8Array[];
  totalBytes: number;
  /** Of a body of unknown length, so that a deadline can cancel a read that waits. */
  reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
}

export interface BodyBounds {
  /** After so many bytes the reader is cancelled. */
  readonly maxBytes: number;
  /** How many of the first bytes are given back. */
  readonly keepBytes: number;
}

const EMPTY: BoundedBody = { bytes: new Uint8Array(0), truncated: false };

function joinChunks(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const joined = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    const part = chunk.subarray(0, length - offset);
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}

/** Whether the response says that its body is within `maxBytes`, in the one way that frames a message (RFC 9112 section 6.3). */
function declaresAtMost(maxBytes: number, headers: Headers): boolean {
  const length = headers.get("content-length");
  if (length === null || !/^[0-9]{1,9}$/.test(length) || Number(length) > maxBytes) return false;
  // With a transfer coding the length means nothing, and an endless body could stand behind a short one.
  return !headers.has("transfer-encoding");
}

async function readChunks(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  bounds: BodyBounds,
  received: Received,
): Promise<BoundedBody> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return received.totalBytes === 0 ? EMPTY : keep(received, bounds.keepBytes);
    received.chunks.push(value);
    received.totalBytes += value.length;
    if (received.totalBytes < bounds.maxBytes) continue;
    // Not awaited: a peer that does not acknowledge the end would hold the call.
    reader.cancel().catch(() => undefined);
    return readSoFar(received, bounds);
  }
}

/** Nothing yet, of any body. */
export function createReceived(): Received {
  return { chunks: [], totalBytes: 0, reader: undefined };
}

/** A body that was given up: what of it has come within the bounds. */
export function readSoFar(received: Received, { maxBytes, keepBytes }: BodyBounds): BoundedBody {
  return { ...keep(received, Math.min(maxBytes, keepBytes)), truncated: true };
}

/**
 * Reads a response's body up to its bounds, noting in `received` what has come. Rejects as the stream does. A short body of
 * known length comes whole or not at all.
 */
export async function readBounded(response: Response, bounds: BodyBounds, received: Received): Promise<BoundedBody> {
  const { maxBytes, keepBytes } = bounds;
  // The usual short answer, read whole: a reader costs several times as much.
  if (declaresAtMost(maxBytes, response.headers)) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { bytes: bytes.subarray(0, keepBytes), truncated: bytes.length > keepBytes };
  }
  if (!response.body) return EMPTY;
  const reader = response.body.getReader();
  received.reader = reader;
  return readChunks(reader, bounds, received);
}

function keep({ chunks, totalBytes }: Received, keepBytes: number): BoundedBody {
  return { bytes: joinChunks(chunks, Math.min(totalBytes, keepBytes)), truncated: totalBytes > keepBytes };
}
