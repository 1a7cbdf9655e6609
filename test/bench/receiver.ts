// A receiver of webhooks in a process of its own: answers 200 at once and remembers when each delivery arrived.
// Commands on standard input: `expect N`, `count`, `time`, `latencies`. Usage: receiver.ts PORT [DELAY_MS], which it takes to answer.

export {};

const port = Number(process.argv[2] ?? 0);
const delayMs = Number(process.argv[3] ?? 0);
let count = 0;
let expected = Number.POSITIVE_INFINITY;
let firstMs = 0;
let timed = false;
const latencies: number[] = [];

const epochMs = (): number => performance.timeOrigin + performance.now();

const server = Bun.serve({
  port,
  hostname: "127.0.0.1",
  async fetch(request) {
    const arrivedMs = epochMs();
    const body = await request.text();
    if (count === 0) firstMs = arrivedMs;
    count += 1;
    if (timed) {
      const { timestamp, occurredAt } = JSON.parse(body) as { timestamp?: string; occurredAt?: string };
      latencies.push(arrivedMs - Date.parse(timestamp ?? occurredAt ?? ""));
    }
    if (count === expected) console.log(`done ${JSON.stringify({ ms: epochMs() - firstMs, count })}`);
    if (delayMs > 0) await Bun.sleep(delayMs);
    return new Response("ok");
  },
});
console.log(`listening ${server.port}`);

for await (const line of console) {
  const [command, argument] = line.trim().split(" ");
  if (command === "expect") {
    count = 0;
    expected = Number(argument);
    console.log("ok expect");
  } else if (command === "time") {
    timed = true;
    latencies.length = 0;
    console.log("ok time");
  } else if (command === "latencies") {
    console.log(`latencies ${JSON.stringify(latencies)}`);
  } else if (command === "count") {
    console.log(`count ${count}`);
  }
}
