/** Cases: topics and addresses of `websock-js/pubsub`. Each case uses topics of its own. */
import { expectEnd, open } from "./endings.ts";
import { type ConformanceCase, type ConformanceHost, type Connected, equal, eventually, type Got } from "./host.ts";
import type { Action, Script, Step } from "./script.ts";

const text = (data: string) => ({ opcode: "text", data }) as const;
const ready = ["push", text("ready"), "S"];
const newTopic = (): string => crypto.randomUUID();

const publish = (topic: string, ...data: readonly string[]): Action => ({
  do: "publish",
  topic,
  messages: data.map(text),
});

/** Connects a member of these topics. It subscribes in `init`. */
const join = async (
  host: ConformanceHost,
  topics: readonly string[],
  script: Script = {},
  subscribe: { readonly slow?: "close" | "drop"; readonly maxBuffered?: number } = {},
): Promise<Connected> => {
  const acts = topics.map((topic): Action => ({ do: "subscribe", topic, ...subscribe }));
  return open(host, { script: { init: [{ acts, return: ready }], ...script } });
};

const expectTexts = async ({ client }: Connected, ...data: readonly string[]): Promise<void> => {
  for (const each of data) equal(await client.next(), ["text", each], "the client got");
};

const expectMembers = async (connected: Connected, topic: string, count: number): Promise<void> => {
  equal(await connected.act({ do: "members", topic }), `${count} ${count}`, "size and members of the topic");
};

const closeAll = (...all: readonly Connected[]): void => {
  for (const { client } of all) client.close(1000);
};

const MESSAGES: readonly (readonly [sent: unknown, got: Got])[] = [
  [text("hello"), ["text", "hello"]],
  [text(""), ["text", ""]],
  [{ opcode: "text" }, ["text", ""]],
  [text("äöü 😀"), ["text", "äöü 😀"]],
  [{ opcode: "text", data: ["a", ["b", "c"]] }, ["text", "abc"]],
  [text("x".repeat(125)), ["text", "x".repeat(125)]],
  [text("x".repeat(126)), ["text", "x".repeat(126)]],
  [text("x".repeat(2_000)), ["text", "x".repeat(2_000)]],
  [{ opcode: "binary", data: "abc" }, ["binary", "abc"]],
];

export const topics: readonly ConformanceCase[] = [
  {
    name: "topics and addresses throw where connections cannot send to each other",
    lacks: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const acts: Action[] = [{ do: "subscribe", topic }, { do: "address" }, publish(topic, "nobody")];
      const connected = await open(host, { script: { init: [{ acts, return: ready }] } });
      await eventually(connected, ({ acted }) => acted.length === 3);
      equal((await connected.report()).acted, ["Error", "Error", "true"], "the results");
      closeAll(connected);
    },
  },
  {
    name: "a message published to a topic reaches the client of each member, whatever it contains",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const members = [await join(host, [topic]), await join(host, [topic]), await join(host, [topic])] as const;
      const stranger = await join(host, [newTopic()]);
      await expectMembers(stranger, topic, 3);
      for (const [sent] of MESSAGES) await stranger.act({ do: "publish", topic, messages: sent });
      await stranger.act({ do: "publish", topic, messages: MESSAGES.map(([sent]) => sent) });
      for (const { client } of members)
        for (const [, got] of [...MESSAGES, ...MESSAGES]) equal(await client.next(), got, "the client got");
      await stranger.act({ do: "push", messages: text("only this") });
      await expectTexts(stranger, "only this");
      closeAll(...members, stranger);
    },
  },
  {
    name: "a topic is left out of what is published with except, by self or by address",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const [a, b, c] = [await join(host, [topic]), await join(host, [topic]), await join(host, [topic])];
      const address = await b.act({ do: "address" });
      await a.act({ ...publish(topic, "not a"), except: ["self"] } as Action);
      await a.act({ ...publish(topic, "only c"), except: ["self", address] } as Action);
      await a.act(publish(topic, "all"));
      await expectTexts(a, "all");
      await expectTexts(b, "not a", "all");
      await expectTexts(c, "not a", "only c", "all");
      closeAll(a, b, c);
    },
  },
  {
    name: "messages of one event-loop tick keep the order of the calls: published to several topics, pushed, and returned",
    needs: ["crossConnection"],
    run: async (host) => {
      const [room, hall] = [newTopic(), newTopic()];
      const acts: Action[] = [];
      for (let i = 0; i < 20; i++) {
        acts.push(publish(room, `room ${i}`), publish(hall, `hall ${i}`, `hall ${i} again`));
        acts.push({ do: "push", messages: text(`own ${i}`) });
      }
      const handleIn: Step[] = [{ acts, return: ["push", text("result"), "S"] }];
      const sender = await join(host, [room, hall], { handleIn });
      const both = await join(host, [hall, room]);
      const one = await join(host, [hall]);
      sender.client.send("text", "go");
      for (let i = 0; i < 20; i++) {
        await expectTexts(sender, `room ${i}`, `hall ${i}`, `hall ${i} again`, `own ${i}`);
        await expectTexts(both, `room ${i}`, `hall ${i}`, `hall ${i} again`);
        await expectTexts(one, `hall ${i}`, `hall ${i} again`);
      }
      await expectTexts(sender, "result");
      await sender.act(publish(room, "after"));
      await expectTexts(sender, "after");
      await expectTexts(both, "after");
      closeAll(sender, both, one);
    },
  },
  {
    name: "a connection becomes a member when its init has returned; what is published before follows init's messages",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, [topic]);
      const acts: Action[] = [{ do: "subscribe", topic }, publish(topic, "while init runs")];
      const pending = await host.connect({ script: { init: [{ acts, async: "gate", return: ready }] } });
      await eventually(pending, ({ acted }) => acted.length === 2);
      await expectMembers(other, topic, 1);
      await other.act(publish(topic, "while init is pending"));
      await pending.openGate();
      await expectTexts(pending, "ready", "while init runs", "while init is pending");
      await expectMembers(other, topic, 2);
      await other.act(publish(topic, "afterwards"));
      await expectTexts(pending, "afterwards");
      await expectTexts(other, "while init runs", "while init is pending", "afterwards");
      closeAll(other, pending);
    },
  },
  {
    name: "a connection whose init fails becomes no member, and gets nothing of what was published",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, [topic]);
      const acts: Action[] = [{ do: "subscribe", topic }, publish(topic, "held")];
      const failing = await host.connect({ script: { init: [{ acts, async: "gate", throw: "no" }] } });
      await eventually(failing, ({ acted }) => acted.length === 2);
      await failing.openGate();
      equal(await failing.client.next(), ["close", 1011, ""], "the client got");
      await expectMembers(other, topic, 1);
      await expectTexts(other, "held");
      closeAll(other);
    },
  },
  {
    name: "a connection is no member any more when terminate runs, which may publish",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, [topic]);
      const acts: Action[] = [{ do: "members", topic }, { do: "topics" }, publish(topic, "it left")];
      for (const leave of [(c: Connected) => c.client.close(1000), (c: Connected) => c.client.drop()]) {
        const leaving = await join(host, [topic], { terminate: [{ acts }] });
        await expectMembers(other, topic, 2);
        leave(leaving);
        await leaving.terminated();
        await expectTexts(other, "it left");
        await eventually(leaving, ({ acted }) => acted.length === 4);
        equal((await leaving.report()).acted.slice(1), ["1 1", "", "true"], "members, topics and publish in terminate");
      }
      await expectMembers(other, topic, 1);
      closeAll(other);
    },
  },
  {
    name: "a member that unsubscribes gets nothing more; subscribed twice, it gets each message once",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const [member, other] = [await join(host, [topic, topic]), await join(host, [topic])];
      equal(await member.act({ do: "topics" }), topic, "topicsOf");
      await other.act(publish(topic, "once"));
      await member.act({ do: "cancel", topic });
      await other.act(publish(topic, "still"));
      await member.act({ do: "unsubscribe", topic });
      await other.act(publish(topic, "no more"));
      await member.act({ do: "push", messages: text("own") });
      await expectTexts(member, "once", "still", "own");
      await expectTexts(other, "once", "still", "no more");
      await expectMembers(other, topic, 1);
      closeAll(member, other);
    },
  },
  {
    name: "broadcast calls handleInfo of each member in a later tick, in order, also from handleInfo of the same topic",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const again: Action = { do: "broadcast", topic, info: "again" };
      const member = await join(host, [topic], { handleInfo: [{ acts: [again] }, {}] });
      const other = await join(host, [topic]);
      for (const info of ["1", { two: 2 }]) await other.act({ do: "broadcast", topic, info });
      await other.act({ do: "broadcast", topic, info: "not other", except: ["self"] });
      await eventually(member, ({ calls }) => calls.length === 5);
      await eventually(other, ({ calls }) => calls.length === 4);
      const callsOf = async ({ report }: Connected) => (await report()).calls.slice(1).map((call) => call.slice(0, -2));
      const sorted = async (connected: Connected) => [...(await callsOf(connected))].sort();
      equal(
        await sorted(member),
        ["handleInfo 1", "handleInfo again", "handleInfo not other", 'handleInfo {"two":2}'].sort(),
        "the calls of a member",
      );
      equal((await callsOf(member)).slice(0, 1), ["handleInfo 1"], "the first call");
      equal(
        await sorted(other),
        ["handleInfo 1", "handleInfo again", 'handleInfo {"two":2}'].sort(),
        "the calls of the other",
      );
      closeAll(member, other);
    },
  },
  {
    name: "topic.stop ends the connection of each member, after what was published before",
    needs: ["crossConnection"],
    run: async (host) => {
      const [topic, user] = [newTopic(), newTopic()];
      const kicked = [await join(host, [topic, user]), await join(host, [topic, user])];
      const other = await join(host, [topic]);
      const acts: Action[] = [
        publish(topic, "bye"),
        { do: "kick", topic: user, reason: "kicked", detail: { code: 4003, text: "kicked" } },
        publish(topic, "gone"),
      ];
      const sender = await join(host, [], { handleIn: [{ acts }] });
      sender.client.send("text", "go");
      for (const connected of kicked) {
        await expectTexts(connected, "bye");
        equal(await connected.client.next(), ["close", 4003, "kicked"], "the client got");
        await expectEnd(connected, "error kicked", []);
      }
      await expectTexts(other, "bye", "gone");
      await expectMembers(other, user, 0);
      closeAll(other, sender);
    },
  },
  {
    name: "an address reaches its connection, and nobody when it is forged or its connection has ended",
    needs: ["crossConnection"],
    run: async (host) => {
      const [a, b] = [await join(host, []), await join(host, [])];
      const address = await a.act({ do: "address" });
      equal(await b.act({ do: "sendTo", to: address, info: "hello" }), "true", "send");
      await eventually(a, ({ calls }) => calls.length === 2);
      equal((await a.report()).calls[1], "handleInfo hello S", "the call");
      for (const forged of ["", address.slice(0, -1), `${address} `, "__proto__"])
        equal(await b.act({ do: "sendTo", to: forged, info: "x" }), "false", `send to ${forged}`);
      equal(await b.act({ do: "stopAt", to: address, reason: "kicked", detail: { code: 4001 } }), "true", "stop");
      equal(await a.client.next(), ["close", 4001, ""], "the client got");
      await expectEnd(a, "error kicked");
      equal(await b.act({ do: "sendTo", to: address, info: "late" }), "false", "send after the end");
      equal(await b.act({ do: "stopAt", to: address, reason: "late" }), "false", "stop after the end");
      closeAll(b);
    },
  },
  {
    name: "a message that may not be sent throws at the call of publish, and nobody gets anything",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const member = await join(host, [topic]);
      const long = { opcode: "ping", data: "x".repeat(126) };
      equal(await member.act({ do: "publish", topic, messages: [text("no"), long] }), "RangeError", "publish");
      equal(await member.act({ do: "publish", topic, messages: "text" }), "TypeError", "publish");
      equal(await member.act({ do: "publish", topic, messages: [] }), "true", "publish of nothing");
      await member.act(publish(topic, "yes"));
      await expectTexts(member, "yes");
      closeAll(member);
    },
  },
  {
    name: "a member that does not read is closed as a slow consumer, and others get everything",
    needs: ["crossConnection", "drain"],
    honours: ["maxBuffered"],
    run: async (host) => {
      const topic = newTopic();
      const slow = await join(host, [topic]);
      const other = await join(host, [topic]);
      slow.client.setReading(false);
      const publishMore = async (): Promise<void> => {
        await other.act({ do: "publishBlocks", topic, count: 2 });
        for (let i = 0; i < 2; i++) equal((await other.client.next())[0], "binary", "the client got");
      };
      await eventually(slow, ({ reason }) => reason !== undefined, publishMore);
      equal((await slow.report()).reason, "error SlowConsumer", "terminate got");
      await expectMembers(other, topic, 1);
      slow.client.drop();
      closeAll(other);
    },
  },
  {
    name: 'with slow: "drop", a member that does not read misses whole messages, and learns how many',
    needs: ["crossConnection", "drain"],
    run: async (host) => {
      const topic = newTopic();
      const slow = await join(host, [topic], {}, { slow: "drop", maxBuffered: 2 * 1024 * 1024 });
      const other = await join(host, [topic]);
      const count = 40;
      slow.client.setReading(false);
      for (let i = 0; i < count; i++) {
        await other.act({ do: "publishBlocks", topic, count: 1 });
        equal((await other.client.next())[0], "binary", "the client got");
      }
      slow.client.setReading(true);
      equal(await slow.act({ do: "drained" }), "true", "self.drained");
      await other.act(publish(topic, "end"));
      await expectTexts(other, "end");
      let received = 0;
      for (let got = await slow.client.next(); got[0] !== "text"; got = await slow.client.next()) received++;
      await eventually(slow, ({ calls }) => calls.length === 2);
      equal((await slow.report()).calls[1], `handleInfo {"missed":${count - received}} S`, "the gap");
      closeAll(slow, other);
    },
  },
];
