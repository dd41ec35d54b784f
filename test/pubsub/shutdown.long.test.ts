/** Many members that are shut down while they are sent messages. */
import { expect, test } from "vitest";
import { text } from "websock-js";
import { testPubSub } from "websock-js/testing";
import { ByteHost, type ByteMember } from "./byte-members.ts";

const COUNT = 10_000;

test("while 10 000 members are shut down one by one, and each publishes in terminate, no publish fails", () => {
  const pubsub = testPubSub();
  const host = new ByteHost();
  const room = pubsub.topic<string>("room");
  let published = 0;
  const onTerminate = (): void => {
    if (room.publish(text("left")) && room.broadcast("left")) published++;
  };
  const members: ByteMember[] = Array.from({ length: COUNT / 10 }, () => host.join(pubsub, ["room"], { onTerminate }));
  members.push(...Array.from({ length: COUNT - members.length }, () => host.join(pubsub)));
  for (const { session } of members) session.shutdown(1012);
  host.tick();
  expect([room.size, published]).toEqual([0, COUNT / 10]);
  expect(members.flatMap(({ errors }) => errors)).toEqual([]);
  for (const { sent } of members) expect(sent().at(-1)).toBe("close 1012");
  expect(members.at(-1)!.sent().length).toBe(COUNT / 10 + 1);
  expect(pubsub.stats).toMatchObject({ subscriptions: 0, closedSlow: 0, dropped: 0 });
});
