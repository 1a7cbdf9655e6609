// A SQLite store over a file of its own whose platform listens, for as long as a test takes.

import { openTempSqlite, type TempSqlite } from "./open-temp-sqlite.ts";
import { createRecordingPlatform, type RecordingPlatform } from "./recording-platform.ts";

export async function withSqlite(
  run: (opened: TempSqlite, platform: RecordingPlatform) => Promise<void>,
): Promise<void> {
  const platform = createRecordingPlatform();
  const opened = await openTempSqlite(platform);
  try {
    await run(opened, platform);
  } finally {
    await opened.cleanup();
  }
}
