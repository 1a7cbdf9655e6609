// A load generator in a process of its own: keeps `connections` sockets busy with one request each, or sends at a fixed
// rate, over plain TCP, so that its own cost stays small and equal for every server.
// Usage: load.ts '{"port","path","body","headers","connections","seconds","rate"?}'

export {};

interface Plan {
  readonly port: number;
  readonly path: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly seconds: number;
  /** Requests a second over all connections; without it each connection sends as soon as it is answered. */
  readonly rate?: number;
}

const plan = JSON.parse(process.argv[2] ?? "{}") as Plan;
const headers = Object.entries(plan.headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
const request = Buffer.from(
  `POST ${plan.path} HTTP/1.1\r\nHost: 127.0.0.1:${plan.port}\r\nContent-Type: application/json\r\n${headers.join("")}` +
    `Content-Length: ${Buffer.byteLength(plan.body)}\r\n\r\n${plan.body}`,
);

interface Connection {
  pending: number;
  sentMs: number;
  head: string;
  bodyLeft: number;
}

let ended = false;
let answered = 0;
let failed = 0;
const latencies: number[] = [];
const END_OF_HEAD = "\r\n\r\n";

function finish(connection: Connection): void {
  connection.pending -= 1;
  if (ended) return;
  answered += 1;
  latencies.push(performance.now() - connection.sentMs);
}

/** Walks through the bytes that came: heads are searched for their status and length, bodies are counted. */
function receive(connection: Connection, chunk: Buffer): void {
  let at = 0;
  while (at < chunk.length) {
    if (connection.bodyLeft > 0) {
      const taken = Math.min(connection.bodyLeft, chunk.length - at);
      connection.bodyLeft -= taken;
      at += taken;
      if (connection.bodyLeft === 0) finish(connection);
      continue;
    }
    connection.head += chunk.toString("latin1", at);
    const end = connection.head.indexOf(END_OF_HEAD);
    if (end < 0) return;
    const rest = connection.head.length - end - END_OF_HEAD.length;
    at = chunk.length - rest;
    const head = connection.head.slice(0, end).toLowerCase();
    connection.head = "";
    if (!/^http\/1\.1 20\d /.test(head)) failed += 1;
    connection.bodyLeft = Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0);
    if (connection.bodyLeft === 0) finish(connection);
  }
}

const send = (socket: Bun.Socket<Connection>): void => {
  socket.data.pending += 1;
  socket.data.sentMs = performance.now();
  socket.write(request);
};

const sockets = await Promise.all(
  Array.from({ length: plan.connections }, () =>
    Bun.connect<Connection>({
      hostname: "127.0.0.1",
      port: plan.port,
      data: { pending: 0, sentMs: 0, head: "", bodyLeft: 0 },
      socket: {
        data(socket, chunk) {
          receive(socket.data, chunk);
          if (!ended && plan.rate === undefined && socket.data.pending === 0) send(socket);
        },
      },
    }),
  ),
);

const startedMs = performance.now();
if (plan.rate === undefined) for (const socket of sockets) send(socket);
else {
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedMs) / 1_000) * (plan.rate ?? 0));
    for (; sent < due; sent++) {
      const free = sockets.find((socket) => socket.data.pending === 0);
      if (!free) break;
      send(free);
    }
    if (ended) clearInterval(timer);
  }, 1);
}
await Bun.sleep(plan.seconds * 1_000);
ended = true;
const seconds = (performance.now() - startedMs) / 1_000;
latencies.sort((a, b) => a - b);
const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
console.log(
  `result ${JSON.stringify({ perSecond: answered / seconds, answered, failed, p50: at(0.5), p99: at(0.99) })}`,
);
process.exit(0);
