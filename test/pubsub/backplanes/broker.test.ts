/** The broker of `cluster` and `threads`, and its connections, without processes or threads. */
import { expect, test } from "vitest";
import { Broker } from "../../../src/pubsub/backplanes/broker.ts";
import { BrokerConnection } from "../../../src/pubsub/backplanes/broker-connection.ts";
import {
  type Batch,
  BatchWriter,
  type FromBroker,
  forEachMessage,
  type PortEvents,
  type ToBroker,
} from "../../../src/pubsub/backplanes/broker-messages.ts";
import { nextTick } from "../../support/promises.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { record } from "./recorder.ts";

failOnUncaught();

const join = (node: string, version = 1): ToBroker => ({ kind: "join", version, node, binary: new Uint8Array(1) });

const batch = (...messages: readonly (readonly [channel: string, text: string])[]): Batch => {
  const writer = new BatchWriter();
  for (const [channel, text] of messages) writer.add(channel, Buffer.from(text));
  return writer.take();
};

/** A broker, and what it sends to each node, which takes a batch when it is told to. */
const brokerWith = (maxBacklog = 1_000_000) => {
  const broker = new Broker(maxBacklog);
  const connect = (node: string) => {
    const sent: string[] = [];
    const taken: (() => void)[] = [];
    const peer = broker.connect({
      send: (message, done) => {
        if (message.kind === "messages") {
          forEachMessage(message, (channel, bytes) => sent.push(`${channel}=${Buffer.from(bytes)}`));
        } else sent.push(message.kind);
        if (done !== undefined) taken.push(() => done(true));
      },
      close: () => undefined,
    });
    peer.receive(join(node));
    return { peer, sent, take: () => taken.splice(0).map((done) => done()).length };
  };
  return { broker, connect };
};

const interest = (add: readonly string[], remove: readonly string[] = []): ToBroker => ({
  kind: "interest",
  id: 1,
  add,
  remove,
});

test("messages go to the nodes that have subscribed, and to the publisher only on its own channel", async () => {
  const { connect } = brokerWith();
  const [one, two, three] = [connect("1"), connect("2"), connect("3")];
  one.peer.receive(interest(["a", "n:1", "n:2"]));
  two.peer.receive(interest(["a", "b"]));
  two.peer.receive(interest([], ["b", "unknown"]));
  one.peer.receive(batch(["a", "x"], ["b", "x"], ["n:1", "y"], ["n:2", "y"], ["a", "z"]));
  await nextTick();
  expect(one.sent).toEqual(["welcome", "confirmed", "n:1=y"]);
  expect(two.sent).toEqual(["welcome", "confirmed", "confirmed", "a=x", "a=z"]);
  expect([three.sent, three.take(), two.take()]).toEqual([["welcome"], 0, 1]);
});

test("a node that leaves or joins again is forgotten", async () => {
  const { connect } = brokerWith();
  const [one, two, three] = [connect("1"), connect("2"), connect("3")];
  for (const { peer } of [two, three]) peer.receive(interest(["a"]));
  two.peer.receive({ kind: "leave" });
  three.peer.receive(join("3"));
  one.peer.receive(batch(["a", "x"]));
  // What it sends after the end has no effect.
  two.peer.receive(interest(["a"]));
  two.peer.receive(batch(["a", "y"]));
  await nextTick();
  expect([two.sent, three.sent]).toEqual([
    ["welcome", "confirmed"],
    ["welcome", "confirmed", "welcome"],
  ]);
});

test("a node with many channels receives nothing after it has left, and can join again at once", async () => {
  const { connect } = brokerWith();
  const [one, two] = [connect("1"), connect("2")];
  const channels = Array.from({ length: 25_000 }, (_, i) => String(i));
  two.peer.receive(interest(channels));
  two.peer.leave();
  one.peer.receive(batch(["24999", "x"]));
  two.peer.receive(join("2"));
  two.peer.receive(interest(["24998"]));
  for (let i = 0; i < 4; i++) await nextTick();
  one.peer.receive(batch(["24998", "y"], ["24999", "y"], ["1", "y"]));
  await nextTick();
  expect(two.sent).toEqual(["welcome", "confirmed", "welcome", "confirmed", "24998=y"]);
});

test("a node that takes nothing is dropped messages beyond the limit, and told when it has taken the others", async () => {
  const { connect } = brokerWith(500);
  const [one, slow] = [connect("1"), connect("2")];
  slow.peer.receive(interest(["a"]));
  slow.sent.length = 0;
  // The first may be larger than the limit.
  one.peer.receive(batch(["a", "-".repeat(1000)], ["a", "dropped"]));
  await nextTick();
  one.peer.receive(batch(["a", ""]));
  await nextTick();
  expect(slow.sent).toEqual([`a=${"-".repeat(1000)}`]);
  expect(slow.take()).toBe(1);
  one.peer.receive(batch(["a", "next"]));
  await nextTick();
  expect(slow.sent.slice(1)).toEqual(["lost", "a=next"]);
});

test("a node of another version is refused", async () => {
  const { broker } = brokerWith();
  const sent: FromBroker[] = [];
  const peer = broker.connect({ send: (message) => sent.push(message), close: () => undefined });
  peer.receive(join("1", 2));
  expect(sent).toEqual([{ kind: "refused", version: 1 }]);
});

/** A connection whose broker is the test. */
const connection = () => {
  const sent: ToBroker[] = [];
  const taken: ((ok: boolean) => void)[] = [];
  let events!: PortEvents<FromBroker>;
  let closes = 0;
  const recorder = record({
    connect: (link) =>
      new BrokerConnection(link, (given) => {
        events = given;
        return {
          send: (message, done) => {
            sent.push(message);
            if (done !== undefined) taken.push(done);
          },
          close: () => void closes++,
        };
      }),
  });
  const answer = (message: FromBroker): void => events.message(message);
  return { recorder, sent, taken, answer, end: () => events.closed(new Error("gone")), closes: () => closes };
};

const welcome: FromBroker = { kind: "welcome", binary: new Uint8Array(1) };

test("channels are subscribed to in chunks, one per event-loop tick, and the connection is up after the last", async () => {
  const { recorder, sent, answer } = connection();
  const channels = Array.from({ length: 1_500 }, (_, i) => `t:${i}`);
  let isConfirmed = false;
  void recorder.connection.subscribe(channels).then(() => {
    isConfirmed = true;
  });
  expect(sent.length).toBe(1);
  answer(welcome);
  expect(sent.length).toBe(2);
  while (sent.length < 4) await nextTick();
  const sizes = sent.map((message) => (message.kind === "interest" ? message.add.length : 0));
  expect(sizes).toEqual([0, 512, 512, 476]);
  answer({ kind: "confirmed", id: 1 });
  answer({ kind: "confirmed", id: 2 });
  await nextTick();
  expect([recorder.events, isConfirmed]).toEqual([[], false]);
  answer({ kind: "confirmed", id: 3 });
  await nextTick();
  expect([recorder.events, isConfirmed]).toEqual([["up"], true]);
});

test("what one event-loop tick publishes is one batch, and changes of interest are one message", async () => {
  const { recorder, sent, taken, answer } = connection();
  answer(welcome);
  answer({ kind: "confirmed", id: 1 });
  await nextTick();
  sent.length = 0;
  for (const text of ["x", "y", "z"]) recorder.publish("a", text);
  void recorder.connection.subscribe(["a"]);
  recorder.connection.unsubscribe(["a", "never"]);
  void recorder.connection.subscribe(["b"]);
  await nextTick();
  expect(sent).toEqual([
    batch(["a", "x"], ["a", "y"], ["a", "z"]),
    { kind: "interest", id: 2, add: ["b"], remove: [] },
  ]);
  expect(recorder.settled).toEqual([]);
  taken[0]!(true);
  taken[0]!(true);
  expect(recorder.settled).toEqual([true, true, true]);
});

test("a confirmation from before reconnect() confirms nothing", async () => {
  const { recorder, sent, answer } = connection();
  answer(welcome);
  answer({ kind: "confirmed", id: 1 });
  await nextTick();
  let isConfirmed = false;
  void recorder.connection.subscribe(["a"]).then(() => {
    isConfirmed = true;
  });
  await nextTick();
  recorder.connection.reconnect();
  recorder.connection.reconnect();
  answer({ kind: "confirmed", id: 2 });
  answer(welcome);
  await nextTick();
  expect([isConfirmed, recorder.events]).toEqual([false, ["up"]]);
  expect(sent.map(({ kind }) => kind)).toEqual(["join", "interest", "interest", "join", "interest"]);
  answer({ kind: "confirmed", id: 3 });
  await nextTick();
  expect([isConfirmed, recorder.events]).toEqual([true, ["up", "up"]]);
});

test("losses and the end are reported; everything is settled once", async () => {
  const { recorder, taken, answer, end, closes } = connection();
  answer(welcome);
  answer({ kind: "lost" });
  answer({ kind: "confirmed", id: 1 });
  await nextTick();
  answer({ kind: "lost" });
  recorder.publish("a", "sent");
  await nextTick();
  recorder.publish("a", "collected");
  end();
  end();
  taken[0]!(true);
  recorder.publish("a", "late");
  await nextTick();
  expect(recorder.events).toEqual(["up", "away", "up", "away forever"]);
  expect(recorder.settled).toEqual([false, false, false]);
  await recorder.connection.close();
  expect(closes()).toBe(2);
});

test("a broker of another version is away forever", () => {
  const { recorder, answer } = connection();
  answer({ kind: "refused", version: 2 });
  answer(welcome);
  expect(recorder.events).toEqual(["away forever"]);
});
