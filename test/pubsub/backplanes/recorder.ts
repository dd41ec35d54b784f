/** A link that records what a backplane does. */
import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Backplane, BackplaneConnection } from "../../../src/pubsub/backplane.ts";

export interface Recorder {
  readonly node: string;
  readonly connection: BackplaneConnection;
  /** Calls of `up`, `away` and `warn`. */
  readonly events: string[];
  /** What was received, as text. */
  readonly received: string[];
  /** Both, in their order. */
  readonly log: string[];
  /** How the publishes were settled. */
  readonly settled: boolean[];
  publish(channel: string, content: string | Uint8Array): void;
  /** Waits until a condition holds. */
  until(condition: () => boolean): Promise<void>;
}

export const record = (backplane: Backplane): Recorder => {
  const node = randomUUID();
  const [events, received, log, settled]: [string[], string[], string[], boolean[]] = [[], [], [], []];
  let wake: () => void = () => undefined;
  const add = <T>(list: T[], item: T): void => {
    list.push(item);
    wake();
  };
  const addLogged = (list: string[], item: string): void => {
    log.push(item);
    add(list, item);
  };
  const connection = backplane.connect({
    node,
    receive: (_, bytes) => addLogged(received, Buffer.from(bytes).toString()),
    up: () => addLogged(events, "up"),
    away: (_, forever = false) => addLogged(events, forever ? "away forever" : "away"),
    warn: (message) => addLogged(events, message),
  });
  return {
    node,
    connection,
    events,
    received,
    log,
    settled,
    publish: (channel, content) => connection.publish(channel, Buffer.from(content), (ok) => add(settled, ok)),
    until: async (condition) => {
      while (!condition()) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
};

/** Records, and waits until the backplane is up. */
export const recordUp = async (backplane: Backplane): Promise<Recorder> => {
  const recorder = record(backplane);
  await recorder.until(() => recorder.events.includes("up"));
  return recorder;
};

/**
 * Fails unless each message that a slow node has not received is followed by the events of a loss. The messages are
 * 0, 1, …; more are published until one arrives.
 */
export const expectToldOfLosses = async (publisher: Recorder, slow: Recorder): Promise<void> => {
  do {
    const { length } = slow.log;
    publisher.publish("a", "last");
    await slow.until(() => slow.log.length > length);
  } while (slow.log.at(-1) !== "last");
  let [expected, losses] = [0, 0];
  for (const [i, entry] of slow.log.entries()) {
    if (entry === "up" || entry === "away" || entry === "last") continue;
    if (Number(entry) !== expected) {
      expect(slow.log.slice(i - 2, i)).toEqual(["away", "up"]);
      losses++;
    }
    expected = Number(entry) + 1;
  }
  const ups = slow.events.filter((event) => event === "up").length;
  expect(ups).toBeGreaterThan(1);
  expect(ups).toBeGreaterThan(losses);
};
