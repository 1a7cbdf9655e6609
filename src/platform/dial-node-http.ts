// Dials with `node:http` and `node:https`, as Deno and Bun both have them. The literal address is the host to connect to, so
// no lookup takes place; the socket pool is keyed by address and by the name that the certificate was checked for.
import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import { pipeline, Readable } from "node:stream";
import type { ReadableStream as NodeReadableStream } from "node:stream/web";
import zlib from "node:zlib";
import type { Dialer, DialInit } from "../net/dialer.ts";

export interface NodeDialOptions {
  /** Certificates trusted instead of the built-in ones, in PEM. */
  readonly ca?: string;
}

const MAX_HEADER_BYTES = 65_536;
const IDLE_SOCKET_MS = 30_000;
const MAX_IDLE_SOCKETS = 256;
/** A response with one of these must not have a body (Fetch standard, null body status). */
const NULL_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

const DECODERS: Readonly<Record<string, () => zlib.Gunzip | zlib.BrotliDecompress>> = {
  gzip: () => zlib.createGunzip(),
  "x-gzip": () => zlib.createGunzip(),
  deflate: () => zlib.createInflate(),
  br: () => zlib.createBrotliDecompress(),
};

const AGENT_OPTIONS: http.AgentOptions = {
  keepAlive: true,
  maxSockets: Number.POSITIVE_INFINITY,
  maxFreeSockets: MAX_IDLE_SOCKETS,
  timeout: IDLE_SOCKET_MS,
  // With NODE_USE_ENV_PROXY=1 in the environment Deno sends every agent's requests to HTTP_PROXY unless it has settings of its own.
  proxyEnv: {},
};

/** The name of a URL as a certificate has it, or undefined for an address: an address is no server name (RFC 6066 section 3). */
export function certificateName(url: URL): string | undefined {
  const name = url.hostname.replace(/\.+$/, "");
  return name.startsWith("[") || isIP(name) !== 0 ? undefined : name;
}

function protocolError(): Error {
  return Object.assign(new Error("The answer cannot be read"), { code: "HPE_INVALID_STATUS" });
}

function readHeaders(message: http.IncomingMessage, isDecoded: boolean): Headers {
  const headers = new Headers();
  for (let index = 0; index < message.rawHeaders.length; index += 2) {
    headers.append(message.rawHeaders[index] ?? "", message.rawHeaders[index + 1] ?? "");
  }
  if (isDecoded) {
    headers.delete("content-encoding");
    headers.delete("content-length");
  }
  return headers;
}

function readStream(
  message: http.IncomingMessage,
  decoder: (() => zlib.Gunzip | zlib.BrotliDecompress) | undefined,
): ReadableStream {
  // The callback only keeps the error from being unhandled: it reaches the reader through the last stream.
  const source: Readable = decoder ? pipeline(message, decoder(), () => undefined) : message;
  return Readable.toWeb(source) as unknown as ReadableStream;
}

function toResponse(message: http.IncomingMessage, init: DialInit): Response {
  const status = message.statusCode ?? 0;
  if (status < 200 || status > 599) {
    message.destroy();
    throw protocolError();
  }
  const encoding = message.headers["content-encoding"]?.trim().toLowerCase() ?? "";
  const hasBody = !NULL_BODY.has(status) && init.method !== "HEAD";
  const decoder = init.decompress && hasBody && Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  const head = {
    status,
    statusText: message.statusMessage ?? "",
    headers: readHeaders(message, decoder !== undefined),
  };
  if (hasBody) return new Response(readStream(message, decoder), head);
  message.resume();
  return new Response(null, head);
}

function sendBody(request: http.ClientRequest, body: DialInit["body"]): void {
  if (body instanceof ReadableStream) {
    pipeline(Readable.fromWeb(body as unknown as NodeReadableStream), request, () => undefined);
    return;
  }
  request.end(body);
}

/** Headers as sent: the host of the URL, a length for a body that has one. */
function requestHeaders(url: URL, { headers, body, decompress }: DialInit): Record<string, string | number> {
  const encodings: Record<string, string> = decompress ? { "accept-encoding": "gzip, deflate, br" } : {};
  const isStream = body instanceof ReadableStream;
  const length = body === undefined || isStream ? {} : { "content-length": Buffer.byteLength(body) };
  return { ...encodings, ...headers, host: url.host, ...length };
}

/** Creates the sending half of a {@link Dialer}. */
export function createNodeFetchPinned(options: NodeDialOptions = {}): Dialer["fetchPinned"] {
  const agents = { "http:": new http.Agent(AGENT_OPTIONS), "https:": new https.Agent(AGENT_OPTIONS) };
  return (url, address, init) =>
    new Promise((resolve, reject) => {
      const isSecure = url.protocol === "https:";
      const servername = isSecure ? certificateName(url) : undefined;
      const request = (isSecure ? https : http).request({
        agent: isSecure ? agents["https:"] : agents["http:"],
        host: address,
        port: url.port === "" ? (isSecure ? 443 : 80) : Number(url.port),
        path: `${url.pathname}${url.search}`,
        method: init.method,
        headers: requestHeaders(url, init),
        maxHeaderSize: MAX_HEADER_BYTES,
        signal: init.signal,
        setHost: false,
        // Said here, because NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment must not switch the check off.
        rejectUnauthorized: true,
        ...(servername === undefined ? {} : { servername }),
        ...(isSecure && options.ca !== undefined ? { ca: options.ca } : {}),
      });
      request.on("error", reject);
      request.on("upgrade", (_message, socket) => {
        socket.destroy();
        reject(protocolError());
      });
      request.on("response", (message) => {
        try {
          resolve(toResponse(message, init));
        } catch (error) {
          reject(error);
        }
      });
      sendBody(request, init.body);
    });
}
