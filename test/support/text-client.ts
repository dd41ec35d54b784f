/** A client of the package `ws` that keeps what it receives, for tests of programs in other processes. */
import { once } from "node:events";
import { onTestFinished } from "vitest";
import { type ClientOptions, WebSocket } from "ws";

export class TextClient {
  readonly socket: WebSocket;
  /** The messages so far. */
  readonly received: string[] = [];
  /** The close code and the close reason text. */
  readonly closed: Promise<string>;

  /** Connects. The connection ends with the test. */
  constructor(url: string, protocols: readonly string[] = [], options: ClientOptions = {}) {
    this.socket = new WebSocket(url, [...protocols], options);
    onTestFinished(() => this.socket.terminate());
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => resolve(`${code} ${reason}`));
    });
    this.socket.on("message", (data) => {
      this.received.push(String(data));
      this.socket.emit("received");
    });
    // Refusals are awaited with `refusal`; a connection that is lost is seen by `closed`.
    this.socket.on("error", () => {});
  }

  /** Resolves with all messages, as soon as there are that many. */
  async messages(count: number): Promise<readonly string[]> {
    while (this.received.length < count) await once(this.socket, "received");
    return this.received;
  }

  /** The status of the response that refuses the client. */
  async refusal(): Promise<number> {
    const [, response] = await once(this.socket, "unexpected-response");
    return response.statusCode;
  }
}
