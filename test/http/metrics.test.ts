// The counters as Prometheus reads them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { createMetrics } from "../../src/http/metrics.ts";
import { withApp } from "../plugins/app-harness.ts";
import { status, webhooks } from "../plugins/webhooks/deliveries.ts";

const SAMPLE = /^[a-z_]+(?:\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*\})? -?(?:\d+(?:\.\d+)?(?:e-?\d+)?|\+Inf|NaN)$/;

/** Fails on a line that no reader of the format would take, on a sample without a type, and on a repeated one. */
function assertReadable(text: string): void {
  assert.ok(text.endsWith("\n"));
  const types = new Set<string>();
  const seen = new Set<string>();
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\S+) (?:counter|gauge|histogram)$/.exec(line)?.[1];
    if (type !== undefined) {
      assert.ok(!types.has(type), `Two types: ${line}`);
      types.add(type);
    } else if (!line.startsWith("# HELP ")) {
      assert.match(line, SAMPLE);
      const name = /^[a-z_]+/.exec(line)?.[0] ?? "";
      assert.ok(types.has(name) || types.has(name.replace(/_(?:bucket|sum|count)$/, "")), line);
      const series = line.slice(0, line.lastIndexOf(" "));
      assert.ok(!seen.has(series), `Twice: ${line}`);
      seen.add(series);
    }
  }
}

describe("the counters of requests", () => {
  it("count by method, route and status, and put each duration in its buckets", async () => {
    const metrics = createMetrics([]);
    for (const durationMs of [0.5, 1, 7, 40_000]) {
      metrics.observe({ method: "GET", route: "/x/:id", status: 200, durationMs });
    }
    metrics.observe({ method: "GET", route: "/x/:id", status: 404, durationMs: 1 });
    const text = await metrics.render();
    assertReadable(text);
    const labels = 'method="GET",route="/x/:id"';
    assert.ok(text.includes(`pylon_http_requests_total{${labels},status="200"} 4\n`));
    assert.ok(text.includes(`pylon_http_requests_total{${labels},status="404"} 1\n`));
    const bucket = (le: string): string | undefined =>
      new RegExp(`_bucket\\{${labels},le="${le.replace("+", "\\+")}"\\} (\\d+)`).exec(text)?.[1];
    assert.deepEqual(["0.001", "0.005", "0.01", "30", "+Inf"].map(bucket), ["3", "3", "4", "4", "5"]);
    assert.ok(text.includes(`pylon_http_request_duration_seconds_count{${labels}} 5\n`));
    assert.ok(/_sum\{[^}]*\} 40\.0\d/.test(text));
  });

  it("cannot be made to grow by inventing methods, nor broken by a route", async () => {
    const metrics = createMetrics([]);
    for (let i = 0; i < 1_000; i++) metrics.observe({ method: `M${i}"}`, route: "*", status: 404, durationMs: 1 });
    metrics.observe({ method: "GET", route: '/a"b\\c\nd', status: 200, durationMs: 1 });
    const text = await metrics.render();
    assertReadable(text);
    assert.ok(text.includes('{method="OTHER",route="*",status="404"} 1000\n'));
    assert.ok(text.split("\n").length < 60);
  });
});

describe("gauges", () => {
  it("are read when asked for, and one that fails does not take the others with it", async () => {
    let value = 1;
    const metrics = createMetrics([
      { name: "a_gauge", help: "A", type: "gauge", read: () => ({ "": value, 'kind="x"': 2 }) },
      { name: "broken", help: "B", type: "gauge", read: () => Promise.reject(new Error("store away")) },
      {
        name: "thrown",
        help: "B",
        type: "gauge",
        read: () => {
          throw new Error("x");
        },
      },
      { name: "last", help: "C", type: "counter", read: () => ({ "": 7 }) },
    ]);
    value = 5;
    const text = await metrics.render();
    assertReadable(text);
    assert.ok(text.includes('a_gauge 5\na_gauge{kind="x"} 2\n'));
    assert.ok(text.includes("last 7\n"));
    assert.ok(!text.includes("\nbroken "));
  });

  it("of a whole instance tell of the jobs that wait and of the attempts that were made", async () => {
    await withApp({ plugins: [webhooks({ retry: { max_attempts: 1 } })] }, async (app) => {
      app.respond = status(500);
      await app.insert("Order", { total: 1 });
      await app.rest();
      const answer = await app.ask("GET /metrics");
      assert.match(answer.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
      assertReadable(answer.text);
      assert.ok(answer.text.includes('pylon_jobs{state="dead"} 1\n'), answer.text);
      assert.ok(answer.text.includes('pylon_job_attempts_total{outcome="dead"} 1\n'), answer.text);
    });
  });
});
