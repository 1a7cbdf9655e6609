// Redis as a shared server, through ioredis. Two connections: one for commands, one for the bus, because only a connection
// that listens learns that messages were missed. It counts as up while both are.

import { Redis, type RedisOptions } from "ioredis";
import {
  isServerRefusal,
  type SharedServer,
  type SharedServerOptions,
  type SharedWrite,
} from "../cache/shared-server.ts";
import { CONNECT_TIMEOUT_MS, HEARTBEAT_MS, reasonOf, reconnectDelayMs, serverRefusal } from "./server-failure.ts";

type Transaction = ReturnType<Redis["multi"]>;

const QUEUE: {
  readonly [Op in SharedWrite["op"]]: (
    transaction: Transaction,
    write: Extract<SharedWrite, { op: Op }>,
    channel: string,
  ) => Transaction;
} = {
  set: (transaction, { name, text, ttlMs }) => transaction.set(name, text, "PX", Math.max(1, Math.ceil(ttlMs))),
  add: (transaction, { name, text }) => transaction.set(name, text, "NX"),
  append: (transaction, { name, text }) => transaction.append(name, text),
  remove: (transaction, { name }) => transaction.del(name),
  publish: (transaction, { text }, channel) => transaction.publish(channel, text),
};

function frees({ op }: SharedWrite): boolean {
  return op === "remove" || op === "publish";
}

function toOptions(options: SharedServerOptions, refusals: () => number): Omit<RedisOptions, "replyMapping"> {
  const { host, port, username, password, tls, timeoutMs, random } = options;
  return {
    host,
    port,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: { servername: host } } : {}),
    lazyConnect: true,
    connectionName: "pylon-cache",
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: timeoutMs,
    // What cannot be sent now fails now: a cache that waits is worse than none.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (times) => reconnectDelayMs(times + refusals(), random),
  };
}

/** A `ReplyError` is the server's own answer; anything else is about the connection. */
function toFailure(error: unknown): Error {
  const isReply = error instanceof Error && error.name === "ReplyError";
  // The text of the others may name the address.
  return isReply ? serverRefusal(reasonOf(error)) : new Error(`The cache server cannot be reached: ${reasonOf(error)}`);
}

async function answerOf<T>(call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw toFailure(error);
  }
}

/** A queued command that the server does not accept discards the transaction; its own error says why. */
function transactionFailure(error: unknown): unknown {
  const { previousErrors } = error as { readonly previousErrors?: readonly unknown[] };
  return previousErrors?.[0] ?? error;
}

async function runTransaction(transaction: Transaction): Promise<void> {
  let results: Awaited<ReturnType<Transaction["exec"]>>;
  try {
    results = await transaction.exec();
  } catch (error) {
    throw toFailure(transactionFailure(error));
  }
  const failed = results?.find(([error]) => error !== null);
  if (failed) throw toFailure(failed[0]);
}

/** Without it every name would be read from and written to database 0. @throws with `NO_DATABASE` when there is none. */
async function selectDatabase(commands: Redis, { database = 0 }: SharedServerOptions): Promise<void> {
  if (database === 0) return;
  try {
    await commands.select(database);
  } catch (error) {
    // "ERR DB index is out of range", and a cluster's "ERR SELECT is not allowed".
    throw reasonOf(error) === "ERR" ? serverRefusal("NO_DATABASE") : error;
  }
}

interface Connections {
  readonly commands: Redis;
  readonly bus: Redis;
  /** The server took the connection, and refused what it is for, that often in a row. */
  refusals: number;
}

/** Calls `onUp` when both connections are ready, `onDown` when one of them is lost and when it cannot be made. */
function watchConnections(connections: Connections, options: SharedServerOptions): void {
  const { commands, bus } = connections;
  let isUp = false;
  let reason = "CLOSED";
  const areReady = (): boolean => commands.status === "ready" && bus.status === "ready";
  const down = (): void => {
    isUp = false;
    options.onDown(reason);
  };
  const prepare = async (connection: Redis, work: Promise<unknown>): Promise<boolean> => {
    try {
      await work;
      return true;
    } catch (error) {
      reason = isServerRefusal(error) ? error.reason : reasonOf(error);
      connections.refusals++;
      connection.disconnect(true);
      return false;
    }
  };
  const up = async (): Promise<void> => {
    if (isUp || !areReady()) return;
    if (!(await prepare(commands, selectDatabase(commands, options)))) return;
    if (!(await prepare(bus, bus.subscribe(options.channel)))) return;
    // Whatever was lost meanwhile has been told already.
    if (isUp || !areReady()) return;
    isUp = true;
    // What went wrong before says nothing about the next time.
    reason = "CLOSED";
    connections.refusals = 0;
    options.onUp();
  };
  for (const connection of [commands, bus]) {
    connection.on("ready", () => void up());
    connection.on("close", down);
    connection.on("error", (error) => {
      reason = reasonOf(error);
    });
  }
}

/** Asks the bus whether it is there, and begins it anew when it is not. Returns what ends that. */
function startHeartbeat(bus: Redis, { clock }: SharedServerOptions): () => void {
  let cancel: () => void = () => undefined;
  const arm = (): void => {
    cancel = clock.setTimer(HEARTBEAT_MS, () => void beat());
  };
  const beat = async (): Promise<void> => {
    try {
      if (bus.status === "ready") await bus.ping();
    } catch {
      bus.disconnect(true);
    }
    if (bus.status !== "end") arm();
  };
  arm();
  return () => cancel();
}

export async function openRedisServer(options: SharedServerOptions): Promise<SharedServer> {
  const connections: Connections = {
    // The driver selects it too, and again by itself; it goes on without it when the server refuses.
    commands: new Redis({ ...toOptions(options, () => connections.refusals), db: options.database ?? 0 }),
    bus: new Redis(toOptions(options, () => connections.refusals)),
    refusals: 0,
  };
  const { commands, bus } = connections;
  watchConnections(connections, options);
  bus.on("message", (_channel, text) => options.onMessage(text));
  const stopHeartbeat = startHeartbeat(bus, options);
  // A failure has been told by then, and is tried again.
  for (const connection of [commands, bus]) connection.connect().catch(() => undefined);
  return {
    hasBus: true,
    read: (names) => answerOf(commands.mget([...names])),
    async write(writes) {
      // A server that is out of memory takes nothing in a transaction, not even a removal.
      const transaction = writes.every(frees) ? commands.pipeline() : commands.multi();
      for (const write of writes) QUEUE[write.op](transaction, write as never, options.channel);
      await runTransaction(transaction);
    },
    async count(name, initial) {
      const begun = answerOf(commands.set(name, String(initial), "NX"));
      const [, counted] = await Promise.all([begun, answerOf(commands.incr(name))]);
      return counted;
    },
    close() {
      stopHeartbeat();
      for (const connection of [commands, bus]) {
        connection.removeAllListeners();
        connection.on("error", () => undefined);
        connection.disconnect();
      }
      return Promise.resolve();
    },
  };
}
