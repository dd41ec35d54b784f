/** Cases: topics and addresses of `websock-js/pubsub`. Each case uses topics of its own. */
import type { WebSockOptions } from "websock-js";
import { expectEnd, open } from "./endings.ts";
import { type ConformanceCase, type ConformanceHost, type Connected, equal, eventually, type Got } from "./host.ts";
import type { Action, Script, Step, Subscribing } from "./script.ts";

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
  subscribe: Subscribing = {},
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
  [{ opcode: "binary", data: "äöü" }, ["binary", "Ã¤Ã¶Ã¼"]],
  [{ opcode: "binary" }, ["binary", ""]],
];

/** Has a 64-bit payload length in its frame (RFC 6455 §5.2). */
const large = (topic: string, opcode: "text" | "binary"): Action => ({
  do: "publishRepeated",
  topic,
  opcode,
  data: "ä",
  times: 35_000,
});

const LARGE_TEXT: Got = ["text", "ä".repeat(35_000)];
const LARGE_BINARY: Got = ["binary", "Ã¤".repeat(35_000)];

const MIB = 1024 * 1024;

/** Waits until `enough` is true of the number of bytes that are buffered. `between` is called between two requests. */
const eventuallyBuffered = async (
  { act }: Connected,
  enough: (bytes: number) => boolean,
  between: () => unknown = () => undefined,
): Promise<void> => {
  while (!enough(Number(await act({ do: "buffered" })))) {
    await between();
    await new Promise((resolve) => setTimeout(resolve));
  }
};

/** How a connection ends. */
const LEAVES: readonly (readonly [how: string, leave: (connected: Connected) => unknown])[] = [
  ["the client closes it", ({ client }) => client.close(1000)],
  ["the client disconnects", ({ client }) => client.drop()],
  ["a callback throws", ({ client }) => client.send("text", "throw")],
  ["it is stopped", ({ act }) => act({ do: "stop", reason: "normal" })],
];

const leaving: readonly ConformanceCase[] = LEAVES.map(([how, leave]) => ({
  name: `when ${how}, a connection is no member any more while terminate runs, which may publish`,
  needs: ["crossConnection"],
  run: async (host) => {
    const topic = newTopic();
    const other = await join(host, [topic]);
    const acts: Action[] = [
      { do: "members", topic },
      { do: "topics" },
      publish(topic, "it left"),
      { do: "subscribe", topic },
      { do: "members", topic },
    ];
    const member = await join(host, [topic], { terminate: [{ acts }], handleIn: [{ throw: "no" }] });
    await expectMembers(other, topic, 2);
    await leave(member);
    await member.terminated();
    await expectTexts(other, "it left");
    await eventually(member, ({ acted }) => acted.length === 6);
    const { acted } = await member.report();
    // An action whose result is a promise is reported later than the others.
    equal([...acted.slice(1)].sort(), ["", "1 1", "1 1", "false", "true"], "what the actions of terminate returned");
    await expectMembers(other, topic, 1);
    closeAll(other);
  },
}));

export const topics: readonly ConformanceCase[] = [
  {
    name: "topics and addresses throw where connections cannot send to each other",
    lacks: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const acts: Action[] = [
        { do: "subscribe", topic },
        { do: "address" },
        publish(topic, "nobody"),
        { do: "broadcast", topic, info: "nobody" },
        { do: "members", topic },
        { do: "topics" },
        { do: "sendTo", to: "nobody", info: "nobody" },
        { do: "stopAt", to: "nobody", reason: "nobody" },
      ];
      const connected = await open(host, { script: { init: [{ acts, return: ready }], handleIn: [{ echo: true }] } });
      await eventually(connected, ({ acted }) => acted.length === acts.length);
      const expected = ["Error", "Error", "true", "true", "0 0", "", "false", "false"];
      equal((await connected.report()).acted, expected, "the results");
      connected.client.send("text", "it stays open");
      await expectTexts(connected, "it stays open");
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
      await stranger.act(large(topic, "text"));
      await stranger.act(large(topic, "binary"));
      for (const { client } of members)
        for (const [, got] of [...MESSAGES, ...MESSAGES]) equal(await client.next(), got, "the client got");
      for (const { client } of members)
        for (const got of [LARGE_TEXT, LARGE_BINARY]) equal(await client.next(), got, "the client got");
      await stranger.act({ do: "push", messages: text("only this") });
      await expectTexts(stranger, "only this");
      closeAll(...members, stranger);
    },
  },
  {
    name: "clients with and without compression receive the same messages of a topic, in order",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const options: WebSockOptions = host.capabilities.compress ? { compress: { threshold: 100 } } : {};
      const init: Step[] = [{ acts: [{ do: "subscribe", topic }], return: ready }];
      const connect = (offersCompression: boolean) => open(host, { script: { init }, options, offersCompression });
      const members = [await connect(true), await connect(false), await connect(true)];
      if (host.capabilities.compress) {
        const compressions = await Promise.all(members.map(({ act }) => act({ do: "compression" })));
        equal(compressions, ["true", "false", "true"], "has compression");
      }
      const last = members.at(-1)!;
      // The largest messages are compressed in another thread, and those after them have to wait.
      await last.act(publish(topic, "short", "x".repeat(2_000)));
      await last.act({ do: "publishBlocks", topic, count: 1 });
      for (const { act } of members) await act({ do: "push", messages: text("own ".repeat(100)) });
      await last.act(large(topic, "text"));
      await last.act({ do: "publish", topic, messages: MESSAGES.map(([sent]) => sent) });
      for (const connected of members) {
        await expectTexts(connected, "short", "x".repeat(2_000));
        equal(await connected.client.next(), ["binary", "\0".repeat(MIB)], "the client got");
        await expectTexts(connected, "own ".repeat(100));
        for (const got of [LARGE_TEXT, ...MESSAGES.map(([, got]) => got)])
          equal(await connected.client.next(), got, "the client got");
      }
      closeAll(...members);
    },
  },
  {
    name: "except leaves out members, given as self or as address",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const [a, b, c] = [await join(host, [topic]), await join(host, [topic]), await join(host, [topic])];
      const address = await b.act({ do: "address" });
      await a.act({ ...publish(topic, "not a"), except: ["self"] } as Action);
      await a.act({ ...publish(topic, "only c"), except: ["self", address] } as Action);
      await a.act({ ...publish(topic, "not b"), except: [address] } as Action);
      await a.act({ ...publish(topic, "all"), except: ["not an address"] } as Action);
      await expectTexts(a, "not b", "all");
      await expectTexts(b, "not a", "all");
      await expectTexts(c, "not a", "only c", "not b", "all");
      await a.act({ do: "broadcast", topic, info: "only c", except: ["self", address] });
      await a.act({ do: "broadcast", topic, info: "all" });
      for (const [connected, infos] of [
        [a, ["all"]],
        [b, ["all"]],
        [c, ["only c", "all"]],
      ] as const) {
        await eventually(connected, ({ calls }) => calls.length > infos.length);
        equal(
          (await connected.report()).calls.slice(1),
          infos.map((info) => `handleInfo ${info} S`),
          "the calls",
        );
      }
      await a.act({ do: "kick", topic, reason: "normal", except: ["self", address] });
      equal(await c.client.next(), ["close", 1000, ""], "the client got");
      await expectMembers(a, topic, 2);
      closeAll(a, b);
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
  ...leaving,
  {
    name: "while all members are shut down, each of them may publish in terminate, and nobody is left",
    needs: ["crossConnection", "shutdown"],
    run: async (host) => {
      const topic = newTopic();
      const terminate: Step[] = [{ acts: [publish(topic, "it left"), { do: "broadcast", topic, info: "it left" }] }];
      const members = [await join(host, [topic], { terminate }), await join(host, [topic], { terminate })];
      await host.shutdown!(1001);
      for (const member of members) {
        await expectEnd(member, "shutdown", []);
        await eventually(member, ({ acted }) => acted.length === 3);
        equal((await member.report()).acted.slice(1), ["true", "true"], "what publish and broadcast returned");
      }
      await expectMembers(members[0]!, topic, 0);
    },
  },
  {
    name: "a member that unsubscribes gets nothing more, however often it has subscribed",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const [member, other] = [await join(host, [topic, topic]), await join(host, [topic])];
      equal(await member.act({ do: "topics" }), topic, "topicsOf");
      await other.act(publish(topic, "once"));
      await member.act({ do: "unsubscribe", topic });
      equal(await member.act({ do: "topics" }), "", "topicsOf");
      await other.act(publish(topic, "no more"));
      await member.act({ do: "subscribe", topic });
      await member.act({ do: "cancel", topic }); // an old subscription
      await other.act(publish(topic, "again"));
      await expectTexts(member, "once", "again");
      await expectTexts(other, "once", "no more", "again");
      await expectMembers(other, topic, 2);
      closeAll(member, other);
    },
  },
  {
    name: "a member that has subscribed twice gets each message once, until both subscriptions are cancelled",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const [member, other] = [await join(host, [topic, topic]), await join(host, [topic])];
      await member.act({ do: "cancel", topic });
      await other.act(publish(topic, "once"));
      await expectMembers(other, topic, 2);
      await member.act({ do: "cancel", topic });
      await other.act(publish(topic, "no more"));
      await expectMembers(other, topic, 1);
      await member.act({ do: "push", messages: text("own") });
      await expectTexts(member, "once", "own");
      await expectTexts(other, "once", "no more");
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
      const callsOf = async ({ report }: Connected) => (await report()).calls.slice(1);
      const both = ["handleInfo 1 S", 'handleInfo {"two":2} S'];
      // Between those of the other, because it is sent when the first one is handled.
      const isFirst = (call: string) => call !== "handleInfo again S";
      equal((await callsOf(member)).filter(isFirst), [...both, "handleInfo not other S"], "the calls of the member");
      equal((await callsOf(other)).filter(isFirst), both, "the calls of the other");
      for (const each of [member, other])
        equal((await callsOf(each)).indexOf("handleInfo again S") > 0, true, "the broadcast of handleInfo is later");
      closeAll(member, other);
    },
  },
  {
    name: "topic.stop ends the connection of each member, after what was published before, and drops infos",
    needs: ["crossConnection"],
    run: async (host) => {
      const [topic, user] = [newTopic(), newTopic()];
      const kicked = [await join(host, [topic, user]), await join(host, [topic, user])];
      const other = await join(host, [topic]);
      const acts: Action[] = [
        publish(topic, "bye"),
        { do: "broadcast", topic: user, info: "dropped" },
        { do: "kick", topic: user, reason: "kicked", detail: { code: 4003, text: "kicked", messages: text("last") } },
        publish(topic, "gone"),
      ];
      const sender = await join(host, [], { handleIn: [{ acts }] });
      sender.client.send("text", "go");
      for (const connected of kicked) {
        await expectTexts(connected, "bye", "last");
        equal(await connected.client.next(), ["close", 4003, "kicked"], "the client got");
        await expectEnd(connected, "error kicked", []);
      }
      await expectTexts(other, "bye", "gone");
      await expectMembers(other, user, 0);
      closeAll(other, sender);
    },
  },
  {
    name: "an address reaches its connection, and nobody when it is forged",
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
      closeAll(b);
    },
  },
  {
    name: "after the end of a connection, it is known that its address reaches nobody",
    needs: ["crossConnection", "exactSelf"],
    run: async (host) => {
      const [a, b] = [await join(host, []), await join(host, [])];
      const address = await a.act({ do: "address" });
      await a.act({ do: "stop", reason: "normal" });
      await expectEnd(a, "normal");
      equal(await b.act({ do: "sendTo", to: address, info: "late" }), "false", "send after the end");
      equal(await b.act({ do: "stopAt", to: address, reason: "late" }), "false", "stop after the end");
      closeAll(b);
    },
  },
  {
    name: "while init is pending, a connection has an address, and infos wait until init has returned",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, []);
      const acts: Action[] = [{ do: "subscribe", topic }, { do: "address" }];
      const pending = await host.connect({ script: { init: [{ acts, async: "gate", return: ready }] } });
      await eventually(pending, ({ acted }) => acted.length === 2);
      const address = await pending.act({ do: "address" });
      equal(await other.act({ do: "sendTo", to: address, info: "sent" }), "true", "send");
      equal(await other.act({ do: "broadcast", topic, info: "broadcast" }), "true", "broadcast");
      await pending.openGate();
      await expectTexts(pending, "ready");
      await eventually(pending, ({ calls }) => calls.length === 3);
      const expected = ["handleInfo sent S", "handleInfo broadcast S"];
      equal((await pending.report()).calls.slice(1), expected, "the calls");
      closeAll(other, pending);
    },
  },
  {
    name: "what is published reaches a member while its callback is pending, before the result",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, [topic]);
      const busy = await join(host, [topic], { handleIn: [{ async: "gate", echo: true }] });
      busy.client.send("text", "result");
      await eventually(busy, ({ calls }) => calls.length === 2);
      await other.act(publish(topic, "meanwhile"));
      await expectTexts(busy, "meanwhile");
      await busy.openGate();
      await expectTexts(busy, "result");
      await expectTexts(other, "meanwhile");
      closeAll(other, busy);
    },
  },
  {
    name: "what a callback publishes precedes the messages and the close frame of its result, or of its failure",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, [topic]);
      const ends: readonly (readonly [Step, code: number])[] = [
        [{ return: ["stop", "normal", [4000, ""], text("result"), "S"] }, 4000],
        [{ throw: "no" }, 1011],
        [{ throw: "no", async: "microtask" }, 1011],
      ];
      for (const [end, code] of ends) {
        const handleIn: Step[] = [{ ...end, acts: [publish(topic, "published")] }];
        const ending = await join(host, [topic], { handleIn });
        ending.client.send("text", "go");
        await expectTexts(ending, "published", ...(code === 4000 ? ["result"] : []));
        equal(await ending.client.next(), ["close", code, ""], "the client got");
        await ending.terminated();
        await other.act(publish(topic, "afterwards"));
        await expectTexts(other, "published", "afterwards");
      }
      closeAll(other);
    },
  },
  {
    name: "publish in init before and after subscribe, in handleInfo, then stop with messages: nobody gets too much",
    needs: ["crossConnection"],
    run: async (host) => {
      const topic = newTopic();
      const other = await join(host, [topic]);
      const init: Step = {
        acts: [
          publish(topic, "before subscribe"),
          { do: "subscribe", topic },
          publish(topic, "after subscribe"),
          { ...publish(topic, "not to itself"), except: ["self"] } as Action,
          { do: "broadcast", topic, info: "from init" },
        ],
        return: ready,
      };
      const handleInfo: Step = {
        acts: [publish(topic, "from handleInfo"), { do: "broadcast", topic, info: "dropped" }, publish(topic, "last")],
        return: ["stop", "normal", [1000, ""], text("result"), "S"],
      };
      const script: Script = { init: [init], handleInfo: [handleInfo], terminate: [{ acts: [publish(topic, "end")] }] };
      const connected = await open(host, { script });
      await expectTexts(connected, "after subscribe", "from handleInfo", "last", "result");
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await expectEnd(connected, "normal", ["handleInfo from init S"]);
      await expectTexts(
        other,
        "before subscribe",
        "after subscribe",
        "not to itself",
        "from handleInfo",
        "last",
        "end",
      );
      await eventually(other, ({ calls }) => calls.length === 3);
      const expected = ["handleInfo from init S", "handleInfo dropped S"];
      equal((await other.report()).calls.slice(1), expected, "the calls of the other");
      closeAll(other);
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
      slow.client.setReading(true);
      let got = await slow.client.next();
      while (got[0] === "binary") got = await slow.client.next();
      equal(got, ["close", 1013, ""], "the client got, after whole messages");
      closeAll(other);
    },
  },
  {
    name: "a volatile message is not sent to a member for whom something is buffered",
    needs: ["crossConnection", "drain", "exactSelf"],
    run: async (host) => {
      const topic = newTopic();
      const [slow, other] = [await join(host, [topic]), await join(host, [topic])];
      slow.client.setReading(false);
      const publishOne = async (): Promise<void> => {
        await other.act({ do: "publishBlocks", topic, count: 1 });
        equal((await other.client.next())[0], "binary", "the client got");
      };
      await eventuallyBuffered(slow, (bytes) => bytes > MIB, publishOne);
      await eventuallyBuffered(other, (bytes) => bytes === 0);
      await other.act({ ...publish(topic, "volatile"), volatile: true } as Action);
      await other.act(publish(topic, "end"));
      await expectTexts(other, "volatile", "end");
      slow.client.setReading(true);
      let got = await slow.client.next();
      while (got[0] === "binary") got = await slow.client.next();
      equal(got, ["text", "end"], "the client got");
      closeAll(slow, other);
    },
  },
  {
    name: "where buffered bytes are not known, a member that does not read misses nothing, whatever its options are",
    needs: ["crossConnection"],
    lacks: ["drain"],
    run: async (host) => {
      const topic = newTopic();
      const members = [await join(host, [topic]), await join(host, [topic], {}, { slow: "drop", maxBuffered: 1 })];
      for (const { client } of members) client.setReading(false);
      const publisher = await join(host, []);
      for (let i = 0; i < 24; i++) await publisher.act({ do: "publishBlocks", topic, count: 1, volatile: true });
      await publisher.act(publish(topic, "end"));
      for (const { client } of members) {
        client.setReading(true);
        for (let i = 0; i < 24; i++) equal((await client.next())[0], "binary", "the client got");
        equal(await client.next(), ["text", "end"], "the client got");
      }
      closeAll(...members, publisher);
    },
  },
  {
    name: 'with slow: "drop", a member that does not read misses whole messages, and learns how many',
    needs: ["crossConnection", "drain"],
    run: async (host) => {
      const topic = newTopic();
      const slow = await join(host, [topic], {}, { slow: "drop", maxBuffered: 2 * MIB, onGap: true });
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
