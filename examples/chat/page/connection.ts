/** A WebSocket that reconnects, with exponential backoff and jitter, until the server refuses the page for good. */

export type Status =
  | { readonly is: "connecting"; readonly again: boolean }
  | { readonly is: "connected" }
  /** Waits until `until` (a time of `performance.now()`), or until {@link Connection.retry} is called. */
  | { readonly is: "waiting"; readonly until: number }
  /** The server has refused the page. There will be no other attempt. */
  | { readonly is: "refused"; readonly why: string };

/** For the inspector: a message, or an event of the connection. */
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

/** The delay before an attempt in ms. It doubles each time, with jitter, so that pages do not reconnect all at once. */
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
    // The network is available again, so the next attempt need not wait.
    window.addEventListener("online", this.retry);
  }

  /** Returns whether the message was sent. Only an answer shows that it was received. */
  send(content: string): boolean {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(content);
    this.#events.frame({ direction: "out", content });
    return true;
  }

  /** Reconnects immediately instead of waiting. */
  readonly retry = (): void => {
    if (this.#timer !== undefined) this.#connect();
  };

  /** Disconnects, and does not reconnect. */
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
      // Not on "open": if a server accepts connections but fails immediately, the delay must keep growing.
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
