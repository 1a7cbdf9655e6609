// Hooks do not delay each other: what hangs holds its own slots and not the room of the rest.

import assert from "node:assert/strict";
import { it } from "node:test";
import { withApp } from "../app-harness.ts";
import { webhooks } from "./deliveries.ts";

it("six hooks that hang with a backlog do not delay a seventh", async () => {
  const hanging = Array.from({ length: 6 }, (_, index) => ({
    name: `h${index}`,
    url: `https://h${index}.example.com/`,
  }));
  const plugins = [webhooks(...hanging, { name: "fast", url: "https://fast.example.com/" })];
  await withApp({ plugins }, async (app) => {
    app.respond = ({ url }) => (url.includes("fast") ? new Response(null) : new Promise(() => undefined));
    for (let total = 0; total < 800; total++) await app.insert("Order", { total });
    await app.advance(5_000);
    assert.equal(app.sent.filter(({ url }) => url.includes("fast")).length, 800);
  });
});
