// An HTTP server on Bun. It bounds nothing itself that the application bounds better: bodies are limited by the routes, and
// handlers by their own deadline.

/** The longest that Bun allows, in seconds: its default of 10 would also cut slow handlers and quiet event streams. */
const IDLE_TIMEOUT_SECS = 255;

export interface ListenOptions {
  readonly host: string;
  /** 0 chooses a free one. */
  readonly port: number;
  /** Answers one request; never rejects. `peerOf` gives the caller's address. */
  readonly fetch: (request: Request, peerOf: () => string | null) => Promise<Response>;
  /** Hears what goes wrong outside of `fetch`. */
  readonly onError: (error: unknown) => void;
}

export interface Listener {
  /** The one that was chosen when 0 was asked for. */
  readonly port: number;
  /** Accepts no more connections; resolves when the last answer is out. */
  stop(): Promise<void>;
  /** Cuts what is left. */
  cut(): Promise<void>;
}

/** Starts listening. @throws Error with `code` EADDRINUSE, EADDRNOTAVAIL or EACCES */
export function listenOnBun({ host, port, fetch, onError }: ListenOptions): Listener {
  const server = Bun.serve({
    hostname: host,
    port,
    idleTimeout: IDLE_TIMEOUT_SECS,
    maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    development: false,
    // Without `development` Bun shares the port with whoever else asks for it (measured on 1.4.5), and two servers would
    // each get some of the requests.
    reusePort: false,
    fetch: (request, server) => fetch(request, () => server.requestIP(request)?.address ?? null),
    error(error) {
      onError(error);
      return new Response(null, { status: 500 });
    },
  });
  return {
    port: server.port ?? port,
    stop: () => server.stop(),
    cut: () => server.stop(true),
  };
}
