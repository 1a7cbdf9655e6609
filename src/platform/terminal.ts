// Standard output and standard error, written at once and in order: nothing is lost when the process ends behind it.

import { writeSync } from "node:fs";
import { isatty } from "node:tty";

export interface DescriptorTerminal {
  readonly isTTY: boolean;
  write(text: string): void;
}

const RETRY_MS = 5;

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Answers how many bytes went out; 0 when the reader takes none now. Null when the reader is gone. */
function writeSome(descriptor: number, bytes: Uint8Array): number | null {
  try {
    return writeSync(descriptor, bytes);
  } catch (error) {
    if (codeOf(error) === "EAGAIN") return 0;
    if (codeOf(error) === "EPIPE") return null;
    throw error;
  }
}

/** 1 is standard output, 2 standard error. A reader that is gone (`pylon help | head -1`) is nobody's mistake. */
export function createTerminal(descriptor: number): DescriptorTerminal {
  return {
    isTTY: isatty(descriptor),
    write(text) {
      let rest = new TextEncoder().encode(text);
      while (rest.length > 0) {
        const written = writeSome(descriptor, rest);
        if (written === null) return;
        if (written === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
        rest = rest.subarray(written);
      }
    },
  };
}
