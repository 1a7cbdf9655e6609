// How far outbound calls reach: the guard for a mode, opened by what the plugins' configurations allow.

import { createGuard, type Guard } from "../net/guard.ts";
import type { ChosenPlugin } from "../plugin/registry.ts";

/** `dev` lets outbound calls reach this machine; `serve` and an embedded instance do not. */
export type Mode = "dev" | "serve";

export interface Outbound {
  readonly guard: Guard;
  readonly guardFunctions: boolean;
}

export function createOutbound(chosen: readonly ChosenPlugin[], mode: Mode): Outbound {
  const settings = chosen.flatMap(({ plugin, config }) => plugin.outbound?.(config) ?? []);
  return {
    guard: createGuard({
      allowHosts: settings.flatMap(({ allowHosts }) => allowHosts),
      allowCidrs: settings.flatMap(({ allowCidrs }) => allowCidrs),
      loopback: mode === "dev" ? "allow" : "refuse",
    }),
    guardFunctions: settings.some(({ guardFunctions }) => guardFunctions),
  };
}
