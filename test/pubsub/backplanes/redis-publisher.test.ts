/** The publisher of the Redis backplane, with a client of the test. */
import { expect, test } from "vitest";
import type { RedisDriver, RedisServer, WatchEvents } from "../../../src/pubsub/backplanes/redis/driver.ts";
import { Publisher } from "../../../src/pubsub/backplanes/redis/publisher.ts";

/** A client that is closed, and a publisher that watches it. */
const watchClosed = (opensSilently: boolean) => {
  let [ready, asked] = [false, 0];
  let events: WatchEvents | undefined;
  let wake: () => void = () => undefined;
  const server: RedisServer = {
    get ready() {
      return ready;
    },
    publish: async () => undefined,
    watch: (given) => {
      events = given;
      return () => undefined;
    },
    open: () => {
      throw new Error("not called");
    },
  };
  const driver: RedisDriver = {
    get closed() {
      return !ready;
    },
    opensSilently,
    settingsWarning: undefined,
    server: () => {
      asked++;
      wake();
      return server;
    },
    watch: () => () => undefined,
  };
  const publisher = new Publisher(driver, { changed: () => undefined, warn: () => undefined });
  return {
    publisher,
    asked: () => asked,
    askedOften: async (): Promise<void> => {
      while (asked < 4) await new Promise<void>((resolve) => (wake = resolve));
    },
    open: () => {
      ready = true;
      events?.changed();
    },
  };
};

test("a client that is closed is asked nothing until its events say that it is open, if they do", async () => {
  const [silent, other] = [watchClosed(true), watchClosed(false)];
  await silent.askedOften();
  expect(other.asked()).toBe(1);
  expect(other.publisher.ready).toBe(false);
  other.open();
  expect(other.publisher.ready).toBe(true);
  for (const { publisher } of [silent, other]) publisher.close();
});
