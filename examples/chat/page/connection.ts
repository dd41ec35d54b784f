/** A WebSocket that comes back: exponential backoff with jitter, until the server says that trying again is futile. */

export type Status =
  | { readonly is: "connecting"; readonly again: boolean }
  | { readonly is: "connected" }
  /** Nothing to do until `until` (as `performance.now()` counts), or until {@link Connection.retry}. */
  | { readonly is: "waiting"; readonly until: number }
  /** The server refused; there will be no other try. */
  | { readonly is: "refused"; readonly why: string };

/** For the inspector: a frame, or something that happened to the connection. */
export interface Frame {
  readonly direction: "in" | "out" | "event";
  readonly content: string;
}

export interface ConnectionEvents {
  readonly status: (status: Status) => void;
  readonly message: (data: string) => void;
  readonly frame: (frame: Frame) => void;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/** How many ms to wait before a try: twice as long each time, give or take, so that not all pages come in one moment. */
export const backoff = (failures: number, random = Math.random()): number =>
  Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures) * (0.5 + random / 2);

export class Connection {
  readonly #url: string;
  readonly #events: ConnectionEvents;
  #socket: WebSocket | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #again = false;

  constructor(url: string, events: ConnectionEvents) {
    this.#url = url;
    this.#events = events;
    this.#connect();
    // The network is back: that is worth a try at once.
    window.addEventListener("online", this.retry);
  }

  /** Returns whether it went out. That it also arrived, only an answer can tell. */
  send(content: string): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(content);
    this.#events.frame({ direction: "out", content });
    return true;
  }

  /** Tries at once, if it is waiting. */
  readonly retry = (): void => {
    if (this.#timer !== undefined) this.#connect();
  };

  /** Leaves for good. */
  close(): void {
    window.removeEventListener("online", this.retry);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close(1000);
  }

  #connect(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#events.status({ is: "connecting", again: this.#again });
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    const { frame, status, message } = this.#events;
    let heard = false;
    socket.addEventListener("open", () => frame({ direction: "event", content: "open" }));
    socket.addEventListener("message", ({ data }: MessageEvent<string>) => {
      frame({ direction: "in", content: data });
      if (socket !== this.#socket) return;
      // Not on "open": a server that lets us in only to fail at once is no reason to hurry.
      if (!heard) {
        heard = true;
        this.#failures = 0;
        status({ is: "connected" });
      }
      message(data);
    });
    socket.addEventListener("close", (event) => {
      frame({ direction: "event", content: `close ${event.code}${event.reason && `: ${event.reason}`}` });
      if (socket === this.#socket) this.#lost(event);
    });
  }

  #lost({ code, reason }: CloseEvent): void {
    this.#socket = undefined;
    if (code >= 4000) {
      this.close();
      this.#events.status({ is: "refused", why: reason || `the server closed the connection (${code})` });
      return;
    }
    this.#again = true;
    const wait = backoff(this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#connect(), wait);
    this.#events.status({ is: "waiting", until: performance.now() + wait });
  }
}
