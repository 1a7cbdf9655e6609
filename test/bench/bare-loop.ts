// The yardstick of `drain`: a loop of signed fetch POSTs with nothing durable about it.
// Usage: bare-loop.ts URL COUNT CONCURRENCY

import { createNodeHmacSigner } from "../../src/platform/hmac-node.ts";

const [url = "", countText = "0", concurrencyText = "64"] = process.argv.slice(2);
const signer = createNodeHmacSigner("bench-secret-of-the-hook");
const body = JSON.stringify({
  event: "insert",
  entity: "Order",
  row_id: "01K00000000000000000000000",
  data: { id: "01K00000000000000000000000", customerId: "user_1", total: 1299, paid: false, note: "two boxes" },
  timestamp: "2026-01-01T00:00:00.000Z",
  delivery_id: "wh_01K00000000000000000000000",
});
let left = Number(countText);
const worker = async (): Promise<void> => {
  while (left > 0) {
    left -= 1;
    const signature = `sha256=${await signer.signHex(body)}`;
    const response = await fetch(url, {
      method: "POST",
      body,
      headers: { "content-type": "application/json", "x-pylon-signature": signature },
    });
    await response.arrayBuffer();
  }
};
const startedMs = performance.now();
await Promise.all(Array.from({ length: Number(concurrencyText) }, worker));
console.log(`result ${JSON.stringify({ perSecond: Number(countText) / ((performance.now() - startedMs) / 1_000) })}`);
process.exit(0);
