// (d) What a million sleeping jobs cost a claim and the memory of a process, against ten thousand.

import { withFolder } from "../support/child.ts";
import { script } from "./bench-app.ts";
import { judged, type Figure } from "./figure.ts";

interface Sleepers {
  readonly medianUs: number;
  readonly rssMiB: number;
}

async function measure(folder: string, sleeping: number): Promise<Sleepers> {
  const process = script("sleepers.ts", [folder, String(sleeping)]);
  return JSON.parse(await process.line("result ")) as Sleepers;
}

export async function sleepingBench(): Promise<Figure[]> {
  return withFolder(async (folder) => {
    const few = await measure(folder, 10_000);
    const many = await measure(folder, 1_000_000);
    const claims = `${many.medianUs.toFixed(2)} µs a job beside 1,000,000 against ${few.medianUs.toFixed(2)} µs beside 10,000`;
    const memory = `${many.rssMiB.toFixed(0)} MiB against ${few.rssMiB.toFixed(0)} MiB`;
    return [
      judged(
        { name: "sleeping: claim cost", value: many.medianUs / few.medianUs, unit: "×", detail: claims },
        "<=",
        1.2,
      ),
      judged({ name: "sleeping: memory", value: many.rssMiB - few.rssMiB, unit: "MiB", detail: memory }, "<", 64),
    ];
  });
}
