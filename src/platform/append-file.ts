// Appends text to a file and waits until it is on the disk, so that what is published outlives a power cut.

import { mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

export async function appendFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const file = await open(path, "a");
  try {
    await file.write(text);
    await file.sync();
  } finally {
    await file.close();
  }
}
