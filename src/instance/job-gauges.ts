// The job engine and the queue as metrics.

import type { Gauge } from "../http/metrics.ts";
import type { JobEngine } from "../jobs/job-engine.ts";
import type { Reader } from "../store/store.ts";

export function jobGauges(reader: Reader, jobs: JobEngine): Gauge[] {
  return [
    {
      name: "pylon_jobs",
      help: "Jobs in the store that are not done, by state",
      type: "gauge",
      async read() {
        const counts = await reader.countJobs();
        return Object.fromEntries(Object.entries(counts).map(([state, count]) => [`state="${state}"`, count]));
      },
    },
    {
      name: "pylon_jobs_running",
      help: "Job attempts under way in this process",
      type: "gauge",
      read: () => ({ "": jobs.stats().running }),
    },
    {
      name: "pylon_job_attempts_total",
      help: "Attempts settled by this process, by outcome",
      type: "counter",
      read() {
        const { settled, failed, dead, lost } = jobs.stats();
        return {
          'outcome="done"': settled - failed,
          'outcome="failed"': failed - dead,
          'outcome="dead"': dead,
          'outcome="lost"': lost,
        };
      },
    },
  ];
}
