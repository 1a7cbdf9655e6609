// Tells when an application's files have changed. The notices of the system only say when to look: what counts is the
// difference between two looks, so a notice that is lost, doubled or about nothing does no harm.

import { type FSWatcher, watch } from "node:fs";
import { fingerprintApp, listAppFolders } from "./app-folders.ts";

export interface WatchOptions {
  readonly dir: string;
  /** Gets the paths that were added, changed or removed. Not called again before what it returns has settled. */
  readonly onChange: (paths: readonly string[]) => void | Promise<void>;
  /** Hears what `onChange` throws. */
  readonly onError: (error: unknown) => void;
  /** Files whose changes do not count, such as a database that lies in the folder. */
  readonly ignore?: (path: string) => boolean;
  /** Milliseconds of quiet before a look: an editor or a checkout writes many files. @default 80 */
  readonly debounceMs?: number;
  /** Milliseconds between looks when the system gives no notices. @default 1000 */
  readonly pollMs?: number;
  /** Looks at intervals instead of asking for notices. @default false */
  readonly poll?: boolean;
}

export interface Watch {
  close(): void;
}

/** What editors and SQLite leave beside the files they write. */
const LEFT_BEHIND = /(?:~|\.sw[a-z]|\.tmp|\.log|\.db(?:-wal|-shm|-journal|-alone)?)$/;

/** The paths that two looks tell apart. */
export function diffFingerprints(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  const changed = [...after].filter(([path, fingerprint]) => before.get(path) !== fingerprint).map(([path]) => path);
  const removed = [...before.keys()].filter((path) => !after.has(path));
  return [...changed, ...removed].toSorted();
}

interface FolderWatchers {
  /** False once the system has refused one: notices cannot be relied on. */
  isComplete(): boolean;
  /** Watches these folders and no others. */
  follow(folders: readonly string[]): void;
}

/** One watcher per folder: a recursive one would also watch `node_modules`, and Linux has few watches to give. */
function createFolderWatchers(onNotice: () => void): FolderWatchers {
  const watchers = new Map<string, FSWatcher>();
  let complete = true;
  const fail = (): void => {
    complete = false;
    onNotice();
  };
  const add = (folder: string): void => {
    try {
      const watcher = watch(folder, { persistent: false }, onNotice);
      watcher.on("error", fail);
      watchers.set(folder, watcher);
    } catch {
      complete = false;
    }
  };
  return {
    isComplete: () => complete,
    follow(folders) {
      const wanted = new Set(folders);
      for (const [folder, watcher] of watchers) {
        if (wanted.has(folder)) continue;
        watcher.close();
        watchers.delete(folder);
      }
      for (const folder of folders) if (!watchers.has(folder)) add(folder);
    },
  };
}

interface Debounce {
  notice(): void;
  cancel(): void;
}

/** Fires when nothing was noticed for `quietMs`, and after ten times that however much is noticed. */
function createDebounce(quietMs: number, fire: () => void): Debounce {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let firstMs: number | undefined;
  return {
    notice() {
      const nowMs = performance.now();
      firstMs ??= nowMs;
      clearTimeout(timer);
      timer = setTimeout(
        () => {
          firstMs = undefined;
          fire();
        },
        Math.max(0, Math.min(quietMs, firstMs + quietMs * 10 - nowMs)),
      );
    },
    cancel: () => clearTimeout(timer),
  };
}

/** Starts watching; what happened before is not reported. */
export function watchApp(options: WatchOptions): Watch {
  const { dir, debounceMs = 80, pollMs = 1_000, poll = false } = options;
  let known = look(options);
  let pollTimer: ReturnType<typeof setTimeout> | undefined;
  let isBusy = false;
  let isClosed = false;

  const check = async (): Promise<void> => {
    if (isClosed) return;
    if (isBusy) return debounce.notice();
    isBusy = true;
    try {
      // A folder that has just been made is watched before it is looked at, so that nothing falls in between.
      follow();
      const current = look(options);
      const changed = diffFingerprints(known, current);
      known = current;
      if (changed.length > 0) await options.onChange(changed);
    } catch (error) {
      options.onError(error);
    } finally {
      isBusy = false;
    }
  };
  const debounce = createDebounce(debounceMs, () => void check());
  const watchers = createFolderWatchers(() => debounce.notice());
  const follow = (): void => {
    if (!poll) watchers.follow(listAppFolders(dir));
    if (!poll && watchers.isComplete()) return;
    clearTimeout(pollTimer);
    pollTimer = setTimeout(() => void check(), pollMs);
  };
  follow();
  return {
    close() {
      isClosed = true;
      clearTimeout(pollTimer);
      debounce.cancel();
      watchers.follow([]);
    },
  };
}

function look({ dir, ignore }: WatchOptions): Map<string, string> {
  const files = fingerprintApp(dir);
  for (const path of files.keys()) if (LEFT_BEHIND.test(path) || ignore?.(path)) files.delete(path);
  return files;
}
