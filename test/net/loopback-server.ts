// Servers on 127.0.0.1 that behave in a given way: raw sockets for broken HTTP, `node:http` for proper HTTP.
import http from "node:http";
import https from "node:https";
import net, { type AddressInfo, type Socket } from "node:net";
import { readFileSync } from "node:fs";

export interface LoopbackServer extends AsyncDisposable {
  readonly port: number;
  /** Connections that were ever accepted. */
  readonly connections: () => number;
  /** Resolves when so many connections have ended. */
  closed(count: number): Promise<void>;
}

function fixture(name: string): string {
  return readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url), "utf8");
}

/** The certificate of the test authority, in PEM. */
export const authority: string = fixture("authority.pem");

function listen(server: net.Server): Promise<LoopbackServer> {
  const sockets = new Set<Socket>();
  const waiting = new Set<() => void>();
  let opened = 0;
  let ended = 0;
  server.on("connection", (socket: Socket) => {
    opened++;
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      ended++;
      sockets.delete(socket);
      for (const check of waiting) check();
    });
  });
  const closed = (count: number): Promise<void> =>
    new Promise((resolve) => {
      const check = (): void => {
        if (ended < count) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      resolve({ port, connections: () => opened, closed, [Symbol.asyncDispose]: close });
    });
  });
}

/** A server that does `act` with a socket once the request has begun to arrive. */
export function listenRaw(act: (socket: Socket) => void): Promise<LoopbackServer> {
  return listen(net.createServer((socket) => socket.once("data", () => act(socket))));
}

/** A server that writes `text` and keeps the connection open. */
export function listenText(text: string): Promise<LoopbackServer> {
  return listenRaw((socket) => socket.write(text));
}

/** Writes `chunk` for as long as the socket takes it, every `everyMs`. */
export function writeForever(socket: Socket, chunk: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(chunk), everyMs);
  socket.on("close", () => clearInterval(timer));
}

export function listenHttp(handle: http.RequestListener): Promise<LoopbackServer> {
  return listen(http.createServer(handle));
}

/** An HTTPS server with the certificate `name` of fixtures/tls. */
export function listenHttps(name: "hooks" | "loopback", handle: http.RequestListener): Promise<LoopbackServer> {
  const server = https.createServer({ cert: fixture(`${name}.pem`), key: fixture(`${name}.key.pem`) }, handle);
  server.on("tlsClientError", () => undefined);
  return listen(server);
}

/** The whole body of a request, as text. */
export async function readText(request: http.IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}

/** A port of 127.0.0.1 at which nobody listens. */
export async function refusedPort(): Promise<number> {
  await using server = await listenText("");
  return server.port;
}
