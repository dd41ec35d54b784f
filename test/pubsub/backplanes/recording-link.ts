/** A `BackplaneLink` that records what a backplane tells it. */
import { randomUUID } from "node:crypto";
import type { BackplaneConnection, BackplaneLink } from "../../../src/pubsub/backplane.ts";

const text = new TextDecoder();

export class RecordingLink implements BackplaneLink {
  readonly node = randomUUID();
  readonly received: (readonly [channel: string, text: string])[] = [];
  readonly warnings: string[] = [];
  /** The causes of `away`. */
  readonly causes: unknown[] = [];
  status: "nothing" | "up" | "away" | "forever" = "nothing";
  ups = 0;
  /** Called with each message. */
  onReceive: (channel: string, bytes: Uint8Array) => void = () => undefined;
  readonly #waiting = new Set<() => void>();

  receive(channel: string, bytes: Uint8Array): void {
    this.received.push([channel, text.decode(bytes)]);
    this.onReceive(channel, bytes);
    this.#wake();
  }

  up(): void {
    this.status = "up";
    this.ups++;
    this.#wake();
  }

  away(cause: unknown, forever?: boolean): void {
    this.status = forever === true ? "forever" : "away";
    this.causes.push(cause);
    this.#wake();
  }

  warn(message: string): void {
    this.warnings.push(message);
    this.#wake();
  }

  /** Resolves when this is true. It is evaluated now, and whenever the backplane has told something. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((wake) => this.#waiting.add(wake));
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const wake of waiting) wake();
  }
}

/** Resolves when the publish is settled. A second call of `settled` fails the test as an uncaught exception. */
export const publish = (connection: BackplaneConnection, channel: string, message: string): Promise<boolean> =>
  new Promise((resolve) => {
    let calls = 0;
    connection.publish(channel, new TextEncoder().encode(message), (ok) => {
      if (++calls > 1) throw new Error(`a publish to ${channel} was settled ${calls} times`);
      resolve(ok);
    });
  });
