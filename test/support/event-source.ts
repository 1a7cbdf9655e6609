// An EventSource (WHATWG HTML, section 9.2) over `fetch`, for clients that expect the browser's where there is none. Parses
// fields as the standard says, reconnects with Last-Event-ID, and gives up for good on anything but an event stream.

type Listener = (event: Event & { readonly data?: string }) => void;

const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

export class FetchEventSource {
  readonly url: string;
  readyState: number = CONNECTING;
  readonly #listeners: Map<string, Set<Listener>> = new Map();
  #abort: AbortController = new AbortController();
  #lastId = "";
  #retryMs = 3_000;

  constructor(url: string | URL) {
    this.url = String(url);
    void this.#run();
  }

  addEventListener(type: string, listener: Listener): void {
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
  }

  close(): void {
    this.readyState = CLOSED;
    this.#abort.abort();
  }

  #emit(type: string, data?: string): void {
    const event = data === undefined ? new Event(type) : new MessageEvent(type, { data, lastEventId: this.#lastId });
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }

  async #run(): Promise<void> {
    while (this.readyState !== CLOSED) {
      await this.#connect().catch(() => undefined);
      if (this.readyState === CLOSED) return;
      this.readyState = CONNECTING;
      this.#emit("error");
      await new Promise((resolve) => setTimeout(resolve, this.#retryMs));
    }
  }

  async #connect(): Promise<void> {
    this.#abort = new AbortController();
    const headers: Record<string, string> = { accept: "text/event-stream" };
    if (this.#lastId !== "") headers["last-event-id"] = this.#lastId;
    const response = await fetch(this.url, { headers, signal: this.#abort.signal });
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (response.status !== 200 || !isStream || !response.body) {
      this.readyState = CLOSED;
      this.#emit("error");
      return;
    }
    this.readyState = OPEN;
    this.#emit("open");
    let rest = "";
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + text).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.#dispatch(block);
    }
  }

  #dispatch(block: string): void {
    let type = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const [, field = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
      if (field === "event") type = value;
      if (field === "data") data.push(value);
      if (field === "id") this.#lastId = value;
      if (field === "retry" && /^\d+$/.test(value)) this.#retryMs = Number(value);
    }
    if (data.length > 0) this.#emit(type, data.join("\n"));
  }
}
