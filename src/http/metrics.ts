// Counters of a running instance in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/).

/** Seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

interface Histogram {
  readonly counts: number[];
  sum: number;
  count: number;
}

export interface Gauge {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  /** Samples by label text, such as `state="ready"`; the empty text has no labels. */
  read(): Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>;
}

export interface Metrics {
  /** `route` is the pattern, not the path: ids must not become labels. */
  observe(request: { method: string; route: string; status: number; durationMs: number }): void;
  render(): Promise<string>;
}

/** A method is any token that a stranger sends: others than these share one label. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

function escapeLabel(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

function renderHistogram(labels: string, histogram: Histogram): string[] {
  const name = "pylon_http_request_duration_seconds";
  const lines: string[] = [];
  let below = 0;
  for (const [index, bound] of BUCKETS.entries()) {
    below += histogram.counts[index] ?? 0;
    lines.push(`${name}_bucket{${labels},le="${bound}"} ${below}`);
  }
  lines.push(`${name}_bucket{${labels},le="+Inf"} ${histogram.count}`);
  lines.push(`${name}_sum{${labels}} ${histogram.sum}`, `${name}_count{${labels}} ${histogram.count}`);
  return lines;
}

/** A gauge that cannot be read has no samples: the others are wanted most when something is broken. */
async function readGauge(gauge: Gauge): Promise<Readonly<Record<string, number>>> {
  try {
    return await gauge.read();
  } catch {
    return {};
  }
}

async function renderGauge(gauge: Gauge): Promise<string[]> {
  const samples = Object.entries(await readGauge(gauge));
  return [
    `# HELP ${gauge.name} ${gauge.help}`,
    `# TYPE ${gauge.name} ${gauge.type}`,
    ...samples.map(([labels, value]) => `${gauge.name}${labels === "" ? "" : `{${labels}}`} ${value}`),
  ];
}

export function createMetrics(gauges: readonly Gauge[]): Metrics {
  const requests = new Map<string, number>();
  const durations = new Map<string, Histogram>();
  /** Label texts by route and method: made once, because every request needs one. */
  const labelTexts = new Map<string, Map<string, string>>();
  const labelsOf = (route: string, method: string): string => {
    const known = labelTexts.get(route)?.get(method);
    if (known !== undefined) return known;
    const labels = `method="${METHODS.has(method) ? method : "OTHER"}",route="${escapeLabel(route)}"`;
    if (METHODS.has(method)) labelTexts.set(route, new Map(labelTexts.get(route)).set(method, labels));
    return labels;
  };
  return {
    observe({ method, route, status, durationMs }) {
      const labels = labelsOf(route, method);
      const counted = `${labels},status="${status}"`;
      requests.set(counted, (requests.get(counted) ?? 0) + 1);
      let histogram = durations.get(labels);
      if (!histogram) {
        histogram = { counts: BUCKETS.map(() => 0), sum: 0, count: 0 };
        durations.set(labels, histogram);
      }
      const seconds = durationMs / 1_000;
      const bucket = BUCKETS.findIndex((bound) => seconds <= bound);
      if (bucket >= 0) histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
      histogram.sum += seconds;
      histogram.count += 1;
    },
    async render() {
      const lines = ["# HELP pylon_http_requests_total Requests answered", "# TYPE pylon_http_requests_total counter"];
      for (const [labels, count] of requests) lines.push(`pylon_http_requests_total{${labels}} ${count}`);
      lines.push("# HELP pylon_http_request_duration_seconds Time to answer");
      lines.push("# TYPE pylon_http_request_duration_seconds histogram");
      for (const [labels, histogram] of durations) lines.push(...renderHistogram(labels, histogram));
      for (const gauge of gauges) lines.push(...(await renderGauge(gauge)));
      return `${lines.join("\n")}\n`;
    },
  };
}
