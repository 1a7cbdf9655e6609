// The documentation's own application of webhooks to customers, its code blocks as they stand, run by the binary: a customer
// registers an endpoint, an action dispatches, and a receiver that is written like the documentation's verifies it.

import { expect, test } from "bun:test";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RunningPylon, startPylon } from "../cli/running-pylon.ts";
import { createTempDir } from "../support/temp-dir.ts";

const SEEDS = join(import.meta.dir, "../../fixtures/apps/seeds");
const BLOCKS = ["webhook-config.ts", "functions/invoicePaid.ts", "functions/receive.ts", "functions/rotate.ts"];
const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ADMIN_TOKEN = "the-admin-token-of-the-tests";
const PATIENCE_MS = 20_000;

const field = (name: string): object => ({ name, type: "string" });
/** What the blocks speak of and do not declare. */
const MANIFEST = {
  manifest_version: 1,
  entities: [
    { name: "Invoice", fields: [field("orgId"), { name: "amount", type: "int" }] },
    { name: "Received", fields: [field("body")] },
  ],
  plugins: [{ name: "net_guard", config: { allow_hosts: ["127.0.0.1"] } }],
};

async function withSeedApp(use: (pylon: RunningPylon, url: string) => Promise<void>): Promise<void> {
  const folder = await createTempDir("pylon-customers-");
  const dir = folder.path;
  mkdirSync(join(dir, "functions"));
  for (const file of BLOCKS) cpSync(join(SEEDS, file), join(dir, file));
  writeFileSync(join(dir, "app.ts"), 'export { default } from "./webhook-config";\n');
  writeFileSync(join(dir, "pylon.manifest.json"), JSON.stringify(MANIFEST));
  const env = { PYLON_ADMIN_TOKEN: ADMIN_TOKEN, WEBHOOK_SECRET: SECRET, PYLON_SECRET_KEY: "ab".repeat(32) };
  const pylon = startPylon(["serve", dir, "--port", "0", "--host", "127.0.0.1"], { cwd: dir, env });
  try {
    await use(pylon, await pylon.url());
  } finally {
    await pylon.stop();
    await folder.remove();
  }
}

type Fields = Readonly<Record<string, unknown>>;

async function ask(url: string, target: string, json?: object, token: string = ADMIN_TOKEN): Promise<Fields> {
  const [method = "GET", path = ""] = target.split(" ");
  const response = await fetch(url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(json ? { body: JSON.stringify(json) } : {}),
  });
  const text = await response.text();
  expect([target, response.status < 300, text]).toEqual([target, true, text]);
  return JSON.parse(text) as Fields;
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (const endsAt = Date.now() + PATIENCE_MS; Date.now() < endsAt;) {
    const found = await look();
    if (found !== undefined) return found;
    await Bun.sleep(20);
  }
  throw new Error("Nothing came");
}

test("the documentation's application sends what the documentation's receiver verifies", async () => {
  await withSeedApp(async (_pylon, url) => {
    const { token } = await ask(url, "POST /api/auth/session", { user_id: "usr_1", tenant_id: "org_1" });
    const endpoint = {
      applicationId: "org_1",
      url: `${url}/api/webhooks/receive`,
      secret: SECRET,
      eventTypes: ["invoice.paid"],
    };
    const created = await ask(url, "POST /api/entities/WebhookEndpoint", endpoint, String(token));
    expect(created["secret"]).toBe(SECRET);
    const invoice = await ask(url, "POST /api/entities/Invoice", { orgId: "org_1", amount: 1_200 });
    await ask(url, "POST /api/fn/invoicePaid", { invoiceId: invoice["id"] });
    const received = await until(async () => {
      const { data } = await ask(url, "GET /api/entities/Received");
      return (data as Fields[])[0];
    });
    const body = JSON.parse(String(received["body"])) as Fields;
    expect(Object.keys(body)).toEqual(["id", "type", "occurredAt", "data"]);
    expect([body["type"], body["data"]]).toEqual(["invoice.paid", invoice]);
    // The row follows once the answer is in.
    const attempt = await until(async () => {
      const { data } = await ask(url, "GET /api/entities/WebhookAttempt", undefined, String(token));
      return (data as Fields[]).find(({ status }) => status !== "pending");
    });
    expect([attempt["status"], attempt["eventId"]]).toEqual(["succeeded", body["id"]]);
  });
});

test("a rotation as the documentation has it signs with both secrets", async () => {
  await withSeedApp(async (_pylon, url) => {
    const id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const args = { id, timestamp: 1_614_265_330, body: '{"test": 2432232314}', oldSecret: "old", newSecret: SECRET };
    const response = await fetch(`${url}/api/fn/rotate`, {
      method: "POST",
      body: JSON.stringify(args),
      headers: { "content-type": "application/json" },
    });
    const signature = (await response.json()) as string;
    expect(signature).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1,g0hM9SsE\+OTPJTGt\/tmIKtSyZlE3uFJELVlNIOLJ1OE=$/);
  });
});

test("the receiver of the documentation refuses what was not signed with its secret", async () => {
  await withSeedApp(async (_pylon, url) => {
    const headers = {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(Math.floor(Date.now() / 1_000)),
      "webhook-signature": "v1,AAAA",
    };
    const response = await fetch(`${url}/api/webhooks/receive`, { method: "POST", body: "{}", headers });
    expect(response.status).toBe(500);
    expect((await ask(url, "GET /api/entities/Received"))["data"]).toEqual([]);
  });
});
