// Reading a request's body within a bound. A declared length is judged before a byte is read; an undeclared one is counted.

import { coreError, isPylonError } from "../core/errors.ts";
import { httpError } from "./http-errors.ts";

function tooLarge(maxBytes: number): Error {
  return httpError("PAYLOAD_TOO_LARGE", { message: `The body is larger than ${maxBytes} bytes` });
}

/** How many bytes the request says it has; undefined when it does not say. */
function declaredBytes({ headers }: Request): number | undefined {
  const header = headers.get("content-length");
  if (header === null || !/^\d{1,15}$/.test(header)) return undefined;
  // With a transfer coding the length means nothing (RFC 9112 section 6.3), and a large body could stand behind a small one.
  return headers.has("transfer-encoding") ? undefined : Number(header);
}

/** Waits for `bytes`. What makes the reading fail is the caller's connection, not something in here. */
async function arrive<T>(bytes: Promise<T>): Promise<T> {
  try {
    return await bytes;
  } catch (error) {
    throw isPylonError(error) ? error : httpError("BODY_INCOMPLETE", { cause: error });
  }
}

async function readCounted(stream: ReadableStream<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** @throws PAYLOAD_TOO_LARGE, BODY_INCOMPLETE */
export async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const declared = declaredBytes(request);
  if (declared !== undefined && declared > maxBytes) throw tooLarge(maxBytes);
  if (!request.body) return new Uint8Array(0);
  if (declared !== undefined) return new Uint8Array(await arrive(request.arrayBuffer()));
  return arrive(readCounted(request.body, maxBytes));
}

/** The body as text. @throws PAYLOAD_TOO_LARGE, BODY_INCOMPLETE */
export async function readText(request: Request, maxBytes: number): Promise<string> {
  const declared = declaredBytes(request);
  if (declared !== undefined && declared <= maxBytes) return arrive(request.text());
  return new TextDecoder().decode(await readBytes(request, maxBytes));
}

/** Parses a JSON body; an empty one is undefined. @throws INVALID_JSON */
export function parseJson(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw coreError("INVALID_JSON", { cause: error, ...(error instanceof Error ? { hint: error.message } : {}) });
  }
}

/** Refuses bodies that a browser form can send without asking first; JSON types and no type at all pass. */
export function requireJsonType(request: Request): void {
  const type = request.headers.get("content-type");
  if (type === null || /^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) return;
  throw httpError("UNSUPPORTED_MEDIA_TYPE");
}
