// Reads the beginning of a body and lets go of the rest. Never holds more than the bound and one chunk.

export interface BoundedBody {
  readonly bytes: Uint8Array;
  /** Whether the body was longer than `bytes`, or at least as long as was read. */
  readonly truncated: boolean;
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
  { maxBytes, keepBytes }: BodyBounds,
): Promise<BoundedBody> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return total === 0 ? EMPTY : keep(chunks, total, keepBytes);
    chunks.push(value);
    total += value.length;
    if (total < maxBytes) continue;
    // Not awaited: a peer that does not acknowledge the end would hold the call.
    reader.cancel().catch(() => undefined);
    return { ...keep(chunks, Math.min(total, maxBytes), keepBytes), truncated: true };
  }
}

/**
 * Reads a response's body up to its bounds. Rejects as the stream does. `onReader` gets the reader of a body of unknown
 * length, so that a deadline can cancel a read that waits.
 */
export async function readBounded(
  response: Response,
  bounds: BodyBounds,
  onReader: (reader: ReadableStreamDefaultReader<Uint8Array>) => void,
): Promise<BoundedBody> {
  const { maxBytes, keepBytes } = bounds;
  // The usual short answer, read whole: a reader costs several times as much.
  if (declaresAtMost(maxBytes, response.headers)) {
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { bytes: bytes.subarray(0, keepBytes), truncated: bytes.length > keepBytes };
  }
  if (!response.body) return EMPTY;
  const reader = response.body.getReader();
  onReader(reader);
  return readChunks(reader, bounds);
}

function keep(chunks: readonly Uint8Array[], total: number, keepBytes: number): BoundedBody {
  return { bytes: joinChunks(chunks, Math.min(total, keepBytes)), truncated: total > keepBytes };
}
