// Which tests run on Deno as well as on Bun, and which need a Postgres: decided by what they and everything behind them import, never by a list
// that someone has to keep.

import { posix } from "node:path";

import { scanSource, type Source } from "../house-scan.ts";
import { ROOMS } from "../house-rooms.ts";

/** Reads a source by its path from the root; undefined when there is none. */
export type ReadSource = (path: string) => string | undefined;

const WEB_ONLY_FOLDERS: readonly string[] = ROOMS.filter((room) => room.webOnly).map(
  (room) => `test/${room.name.replace("/*", "")}/`,
);

function needsBun(source: Source): boolean {
  return source.names.has("Bun") || source.imports.some((specifier) => /^bun(?::|$)/.test(specifier));
}

/** A memory of what was scanned, and the search through what a source imports, itself included. */
export function createReach(read: ReadSource): {
  scan(path: string): Source | undefined;
  reaches(entry: string, isWanted: (source: Source, path: string) => boolean): boolean;
} {
  const scanned = new Map<string, Source | undefined>();
  const scan = (path: string): Source | undefined => {
    if (!scanned.has(path)) {
      const text = read(path);
      scanned.set(path, text === undefined ? undefined : scanSource(text));
    }
    return scanned.get(path);
  };
  const reaches = (entry: string, isWanted: (source: Source, path: string) => boolean): boolean => {
    const seen = new Set<string>();
    const waiting = [entry];
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const source = scan(path);
      if (!source || seen.has(path)) continue;
      seen.add(path);
      if (isWanted(source, path)) return true;
      for (const specifier of source.imports) {
        if (specifier.startsWith(".") && specifier.endsWith(".ts"))
          waiting.push(posix.join(posix.dirname(path), specifier));
      }
    }
    return false;
  };
  return { scan, reaches };
}

/**
 * The tests of Web-only rooms that speak `node:test` and reach nothing that only Bun has.
 *
 * @param tests paths of test files from the root
 */
export function selectPortableTests(tests: readonly string[], read: ReadSource): readonly string[] {
  const { scan, reaches } = createReach(read);
  return tests
    .filter((path) => WEB_ONLY_FOLDERS.some((folder) => path.startsWith(folder)))
    .filter((path) => scan(path)?.imports.includes("node:test") && !reaches(path, needsBun));
}

/** Whether one of the tests opens a Postgres database. */
export function needPostgres(tests: readonly string[], read: ReadSource): boolean {
  const { reaches } = createReach(read);
  return tests.some((test) => reaches(test, (_source, path) => path === "test/support/postgres.ts"));
}
