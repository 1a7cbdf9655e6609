// A dialer without a network: names and answers are tables, and every lookup and every connection is written down.
import type { Dialer, DialInit } from "../../src/net/dialer.ts";

/** What an address does with a request; a function sees what was sent. */
export type FakeAnswer = Response | Error | ((url: URL, init: DialInit) => Response | Error | Promise<Response>);

export interface FakeDial {
  readonly url: string;
  readonly address: string;
  readonly init: DialInit;
}

export interface FakeDialer extends Dialer {
  readonly lookups: readonly string[];
  readonly dials: readonly FakeDial[];
}

export interface FakeDialerOptions {
  /** Answers of the resolver; an array of arrays is used up one per lookup. */
  readonly names?: Readonly<Record<string, readonly (readonly string[])[]>>;
  readonly addresses?: Readonly<Record<string, FakeAnswer>>;
}

/** An error as a platform raises it. */
export function platformError(code: string): Error {
  return Object.assign(new Error(`${code}: something about https://secret.example/?token=hidden`), { code });
}

export function createFakeDialer({ names = {}, addresses = {} }: FakeDialerOptions = {}): FakeDialer {
  const lookups: string[] = [];
  const dials: FakeDial[] = [];
  return {
    lookups,
    dials,
    async resolve(host) {
      const answers = names[host] ?? [];
      const turn = lookups.filter((name) => name === host).length;
      lookups.push(host);
      const answer = answers[Math.min(turn, answers.length - 1)];
      if (!answer) throw platformError("ENOTFOUND");
      return answer;
    },
    async fetchPinned(url, address, init) {
      dials.push({ url: url.href, address, init });
      const answer = addresses[address] ?? platformError("ECONNREFUSED");
      const result = typeof answer === "function" ? await answer(url, init) : answer;
      if (result instanceof Error) throw result;
      return result;
    },
  };
}

/** A body that gives its chunks and then waits until it is cancelled. */
export function hangingBody(...chunks: readonly string[]): {
  readonly body: ReadableStream<Uint8Array>;
  readonly cancelled: Promise<void>;
} {
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
    },
    cancel: () => resolve(),
  });
  return { body, cancelled };
}
