// (f) Flags in one process against the engines of GrowthBook and Unleash, which evaluate the same flags for the same users
// in turns. Ours counts every evaluation, and its bulk gives the protocol's JSON and tag as well.

import { GrowthBookClient } from "@growthbook/growthbook";
import { InMemStorageProvider, Unleash } from "unleash-client";
import { createPrefixHash } from "../../src/crypto/murmur3.ts";
import { flagDefinition, type FlagInput } from "../../src/plugins/feature-flags/flag-definition.ts";
import { compilePattern } from "../../src/plugins/feature-flags/pattern-engine.ts";
import { answerAll, answerFlag, createFlagSet, type FlagSet } from "../../src/plugins/feature-flags/served-flags.ts";
import { informative, judged, percentile, type Figure } from "./figure.ts";

const USERS = 10_000;
const ROUNDS = 7;
const ROUND_MS = 400;
const NOW_MS = Date.UTC(2026, 3, 28);
const ids = Array.from({ length: USERS }, (_, index) => `user_${index}`);
const PLANS = ["free", "pro", "team"] as const;

type Kind = "boolean" | "rollout" | "targeted" | "variants";
/** The mixture of reference measurements: 40 plain, 30 rolled out, 20 targeted, 10 with variants. */
const MIX: readonly Kind[] = Array.from({ length: 100 }, (_, index) =>
  index < 40 ? "boolean" : index < 70 ? "rollout" : index < 90 ? "targeted" : "variants",
);
const nameOf = (index: number): string => `flag-${index}`;

const OURS: Readonly<Record<Kind, FlagInput>> = {
  boolean: { enabled: true },
  rollout: { enabled: true, rollout: 25 },
  targeted: { enabled: true, rules: [{ if: [{ attribute: "plan", op: "in", values: ["pro", "team"] }] }] },
  variants: { enabled: true, variants: { a: 50, b: 30, c: 20 } },
};

function ours(kinds: readonly Kind[]): FlagSet {
  const sources = kinds.map((kind, index) => ({
    name: nameOf(index),
    definition: flagDefinition.parse(OURS[kind]),
    stored: null,
  }));
  const use = (): { evaluations: number; lastMs: null } => ({ evaluations: 0, lastMs: null });
  return createFlagSet(sources, { version: "v", since: 0, engine: compilePattern, useOf: use });
}

const GROWTHBOOK = {
  boolean: { defaultValue: true },
  rollout: { defaultValue: false, rules: [{ force: true, coverage: 0.25, hashAttribute: "id" }] },
  targeted: { defaultValue: false, rules: [{ condition: { plan: { $in: ["pro", "team"] } }, force: true }] },
  variants: {
    defaultValue: "a",
    rules: [{ variations: ["a", "b", "c"], weights: [0.5, 0.3, 0.2], hashAttribute: "id", coverage: 1 }],
  },
};

function growthbook(kinds: readonly Kind[]): GrowthBookClient {
  const features = Object.fromEntries(kinds.map((kind, index) => [nameOf(index), GROWTHBOOK[kind]]));
  return new GrowthBookClient().initSync({ payload: { features } });
}

const everybody = { name: "default", parameters: {}, constraints: [] };
const rolled = (rollout: string, name: string): object => ({
  name: "flexibleRollout",
  parameters: { rollout, stickiness: "userId", groupId: name },
  constraints: [],
});
const UNLEASH: Readonly<Record<Kind, (name: string) => object>> = {
  boolean: () => ({ strategies: [everybody] }),
  rollout: (name) => ({ strategies: [rolled("25", name)] }),
  targeted: () => ({
    strategies: [{ ...everybody, constraints: [{ contextName: "plan", operator: "IN", values: ["pro", "team"] }] }],
  }),
  variants: () => ({
    strategies: [everybody],
    variants: [
      { name: "a", weight: 500, weightType: "variable", stickiness: "userId", payload: { type: "string", value: "a" } },
      { name: "b", weight: 300, weightType: "variable", stickiness: "userId", payload: { type: "string", value: "b" } },
      { name: "c", weight: 200, weightType: "variable", stickiness: "userId", payload: { type: "string", value: "c" } },
    ],
  }),
};

async function unleash(kinds: readonly Kind[]): Promise<Unleash> {
  const data = kinds.map((kind, index) => ({
    name: nameOf(index),
    type: "release",
    enabled: true,
    project: "default",
    stale: false,
    impressionData: false,
    ...UNLEASH[kind](nameOf(index)),
  }));
  const client = new Unleash({
    appName: "bench",
    url: "http://127.0.0.1:9/api/",
    refreshInterval: 0,
    disableMetrics: true,
    skipInstanceCountWarning: true,
    storageProvider: new InMemStorageProvider(),
    bootstrap: { data },
  });
  client.on("error", () => undefined);
  client.on("warn", () => undefined);
  await new Promise<void>((resolve) => void client.once("ready", resolve));
  return client;
}

/** One turn over all users; answers how many flags were on, so that nothing can be left out. */
type Turn = () => number;

/** Evaluations in a second, in turns so that a busy moment of the machine meets all alike. */
function measure(engines: Readonly<Record<string, Turn>>, perTurn: number): Record<string, number> {
  const rates: Record<string, number[]> = {};
  for (const turn of Object.values(engines)) for (let warm = 0; warm < 3; warm++) turn();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, turn] of Object.entries(engines)) {
      const startedMs = performance.now();
      let turns = 0;
      while (performance.now() - startedMs < ROUND_MS) {
        turn();
        turns += 1;
      }
      (rates[name] ??= []).push((turns * perTurn * 1_000) / (performance.now() - startedMs));
    }
  }
  return Object.fromEntries(Object.entries(rates).map(([name, found]) => [name, percentile(found, 0.5)]));
}

function compare(name: string, rates: Record<string, number>, unit: string): Figure[] {
  const { pylon = 0, ...others } = rates;
  const fastest = Math.max(...Object.values(others));
  const million = (rate: number): string => (rate / 1e6).toFixed(2);
  const detail = Object.entries(rates)
    .map(([engine, rate]) => `${engine} ${million(rate)} M ${unit}`)
    .join(", ");
  return [judged({ name, value: pylon / fastest, unit: "ratio", detail }, ">=", 1.5)];
}

async function singleFlag(): Promise<Figure[]> {
  const [set, gb, un] = [ours(["rollout"]), growthbook(["rollout"]), await unleash(["rollout"])];
  const name = nameOf(0);
  const subjects = ids.map((userId) => ({ userId, nowMs: NOW_MS }));
  const gbUsers = ids.map((id) => ({ attributes: { id } }));
  const unUsers = ids.map((userId) => ({ userId }));
  const count = (isOn: (user: number) => boolean): number => {
    let on = 0;
    for (let user = 0; user < USERS; user++) if (isOn(user)) on += 1;
    return on;
  };
  const engines: Readonly<Record<string, Turn>> = {
    pylon: () =>
      count((user) => {
        const served = set.byName.get(name);
        return served !== undefined && answerFlag(served, subjects[user] as (typeof subjects)[number]).value;
      }),
    growthbook: () => count((user) => gb.isOn(name, gbUsers[user] as (typeof gbUsers)[number])),
    unleash: () => count((user) => un.isEnabled(name, unUsers[user])),
  };
  for (const [engine, turn] of Object.entries(engines)) {
    if (Math.abs(turn() / USERS - 0.25) > 0.02) throw new Error(`${engine} does not roll out to a quarter`);
  }
  const rates = measure(engines, USERS);
  un.destroy();
  return compare("one flag at 25 %", rates, "/s");
}

async function hundredFlags(): Promise<Figure[]> {
  const [set, gb, un] = [ours(MIX), growthbook(MIX), await unleash(MIX)];
  const names = MIX.map((_, index) => nameOf(index));
  const users = ids.slice(0, 100);
  const planOf = (user: number): string => PLANS[user % PLANS.length] as string;
  const engines: Readonly<Record<string, Turn>> = {
    pylon: () => {
      let parts = 0;
      for (const [user, userId] of users.entries()) {
        parts += answerAll(set, "remote", { userId, attributes: { plan: planOf(user) }, nowMs: NOW_MS }).parts.length;
      }
      return parts;
    },
    growthbook: () => {
      let on = 0;
      for (const [user, id] of users.entries()) {
        const context = { attributes: { id, plan: planOf(user) } };
        for (const name of names) if (gb.evalFeature(name, context).on) on += 1;
      }
      return on;
    },
    unleash: () => {
      let on = 0;
      for (const [user, userId] of users.entries()) {
        const context = { userId, properties: { plan: planOf(user) } };
        for (const [index, name] of names.entries()) {
          if (MIX[index] === "variants" ? un.getVariant(name, context).enabled : un.isEnabled(name, context)) on += 1;
        }
      }
      return on;
    },
  };
  const rates = measure(engines, users.length * names.length);
  un.destroy();
  return compare("100 flags in bulk", rates, "flags/s");
}

/** What no engine of this kind can be faster than. */
function floor(): Figure {
  const hash = createPrefixHash("flag-0:");
  const engines = { hash: () => ids.reduce((sum, id) => sum + (hash.hash(id) & 1), 0) };
  const { hash: rate = 0 } = measure(engines, USERS);
  const detail = "murmur3 of a user id behind a prefix that is read once";
  return informative({ name: "hashes", value: rate / 1e6, unit: "M/s", detail });
}

export async function flagsBench(): Promise<Figure[]> {
  return [...(await singleFlag()), ...(await hundredFlags()), floor()];
}
