// What Bun gives an instance: outbound connections to checked addresses, macrotasks, and values that follow asynchronous code.

import { AsyncLocalStorage } from "node:async_hooks";
import type { CurrentCall } from "../functions/current-call.ts";
import { appendFile } from "./append-file.ts";
import { createBunHmacSigner } from "./hmac-bun.ts";
import { bunSha256 } from "./sha256-bun.ts";
import type { Platform } from "../pylon.ts";
import { createBunDialer } from "./dial-bun.ts";
import { openSharedServer } from "./shared-server.ts";

export function createBunPlatform(): Platform {
  return {
    dialer: createBunDialer(),
    defer: (task) => {
      setImmediate(task);
    },
    storage: new AsyncLocalStorage<CurrentCall>(),
    createSigner: createBunHmacSigner,
    sha256: bunSha256,
    appendFile,
    openSharedServer,
  };
}
