// The platform of an embedded instance, on Bun or Deno: outbound connections, SQLite, and the environment.

import { mkdtempSync, rmSync } from "node:fs";
import { AsyncLocalStorage } from "node:async_hooks";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import type { Env } from "../core/env.ts";
import type { CurrentCall } from "../functions/current-call.ts";
import { readDatabaseLimits } from "../instance/settings.ts";
import type { Dialer } from "../net/dialer.ts";
import type { Platform } from "../pylon.ts";
import { openSqliteStore } from "../store/sqlite/open-sqlite-store.ts";
import type { Store } from "../store/store.ts";
import { appendFile } from "./append-file.ts";
import { createNodeHmacSigner } from "./hmac-node.ts";
import { nodeSha256 } from "./sha256-node.ts";
import { openSharedServer } from "./shared-server.ts";
import { sqlitePlatform } from "./sqlite-platform.ts";

export interface EmbeddedPlatform extends Platform {
  readonly env: Env;
  openSqliteStore(path: string): Store;
  /** Waits a while for a server that is away. */
  openPostgresStore(url: string): Promise<Store>;
  /** A store whose file is gone when it is closed. */
  openMemoryStore(): Store;
}

type Transport = (request: Request) => Promise<Response>;

async function platformDialer(): Promise<Dialer> {
  if ("Bun" in globalThis) return (await import("./dial-bun.ts")).createBunDialer();
  return (await import("./dial-deno.ts")).createDenoDialer();
}

/** A dialer whose connections end in `transport`. Names are not looked up: nothing is connected to. */
function transportDialer(transport: Transport): Dialer {
  return {
    // A public address stands for every name, so that only literal private targets are refused.
    resolve: () => Promise.resolve(["1.1.1.1"]),
    fetchPinned: (url, _address, init) => {
      const { method, headers, signal } = init;
      const body = (init.body ?? null) as BodyInit | null;
      return transport(new Request(url, { method, headers, signal, body }));
    },
  };
}

function openTemporaryStore(): Store {
  const folder = mkdtempSync(join(tmpdir(), "pylon-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const store = openSqliteStore({ path: join(folder, "memory.db"), platform: sqlitePlatform });
    return { ...store, name: "memory", close: () => store.close().finally(remove) };
  } catch (error) {
    remove();
    throw error;
  }
}

export async function openEmbeddedPlatform(transport?: Transport): Promise<EmbeddedPlatform> {
  const isBun = "Bun" in globalThis;
  return {
    dialer: transport ? transportDialer(transport) : await platformDialer(),
    defer: (task) => {
      setImmediate(task);
    },
    storage: new AsyncLocalStorage<CurrentCall>(),
    createSigner: isBun ? (await import("./hmac-bun.ts")).createBunHmacSigner : createNodeHmacSigner,
    sha256: isBun ? (await import("./sha256-bun.ts")).bunSha256 : nodeSha256,
    appendFile,
    openSharedServer,
    env: process.env,
    openSqliteStore: (path) => openSqliteStore({ path, platform: sqlitePlatform }),
    async openPostgresStore(url) {
      const { openDatabaseServer } = await import("./postgres-platform.ts");
      return openDatabaseServer({ url, ...readDatabaseLimits(process.env) });
    },
    openMemoryStore: openTemporaryStore,
  };
}
