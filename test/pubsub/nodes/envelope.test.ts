/** Envelopes: the format of version 1, and bytes that nobody should have sent. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { text } from "../../../src/message.ts";
import { readStop, writeStop } from "../../../src/pubsub/nodes/bodies.ts";
import { MalformedError } from "../../../src/pubsub/nodes/bytes.ts";
import {
  EntryType,
  type Envelope,
  type EnvelopeEntry,
  EnvelopeWriter,
  entrySize,
  readEnvelope,
  uuidBytes,
} from "../../../src/pubsub/nodes/envelope.ts";
import { join } from "../members.ts";
import { envelope, messagesOf, type Rooms, setUp, strangerOn } from "./rooms.ts";

const NODE = "00112233-4455-6677-8899-aabbccddeeff";

const write = ({ node, epoch, first, lost, entries }: Envelope): Uint8Array => {
  const writer = new EnvelopeWriter(uuidBytes(node), epoch, first, lost);
  for (const entry of entries) {
    const before = writer.size;
    writer.add(entry.type as EntryType, entry.body, entry.body.length, entry);
    expect(writer.size - before).toBeLessThanOrEqual(entrySize(entry.body.length, entry));
  }
  return writer.finish();
};

const entries = fc.array(
  fc.record<EnvelopeEntry>({
    type: fc.constantFrom(...Object.values(EntryType)),
    body: fc.uint8Array({ maxLength: 300 }),
    volatile: fc.boolean(),
    except: fc.array(fc.oneof(fc.string({ unit: "binary" }), fc.constant("x".repeat(200))), { maxLength: 3 }),
  }),
  { minLength: 1, maxLength: 10 },
);

const envelopes = fc.record<Envelope>({
  node: fc.uuid(),
  epoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  first: fc.integer({ min: 1, max: 2 ** 48 - 1 }),
  lost: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  entries,
});

const bytesOf = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(" ", ""), "hex");

describe("the format", () => {
  test("version 1 never changes: all fields", () => {
    const all: Envelope = {
      node: NODE,
      epoch: 7,
      first: 300,
      lost: 258,
      entries: [
        { type: EntryType.text, body: Buffer.from("hé"), volatile: false, except: [] },
        { type: EntryType.binary, body: Uint8Array.of(1, 2), volatile: true, except: [] },
        { type: EntryType.info, body: Buffer.from("{}"), volatile: false, except: ["a:b", "ü"] },
        { type: EntryType.pong, body: new Uint8Array(200), volatile: true, except: [] },
      ],
    };
    const golden = bytesOf(
      `01 00112233445566778899aabbccddeeff 00000007 00000000012c 0004 000000000102
       00 03 68c3a9
       11 02 0102
       24 02 03 613a62 02 c3bc 02 7b7d
       13 c801 ${"00".repeat(200)}`.replaceAll("\n", ""),
    );
    expect(Buffer.from(write(all)).toString("hex")).toBe(Buffer.from(golden).toString("hex"));
    expect(readEnvelope(new Uint8Array(golden))).toEqual({
      ...all,
      entries: all.entries.map((entry) => ({ ...entry, body: new Uint8Array(entry.body) })),
    });
  });

  test("version 1 never changes: types", () => {
    expect(EntryType).toEqual({
      text: 0,
      binary: 1,
      ping: 2,
      pong: 3,
      info: 4,
      stop: 5,
      addressInfo: 6,
      addressStop: 7,
      hello: 8,
      beat: 9,
      goodbye: 10,
      probe: 11,
      presence: 12,
    });
  });

  test("version 1 never changes: stops", () => {
    const body = writeStop("kicked", { code: 4003, text: "bye", messages: text("last") }) as Uint8Array;
    const json = '{"reason":"kicked","code":4003,"text":"bye"}';
    expect(Buffer.from(body).toString("latin1")).toBe(`${String.fromCharCode(json.length)}${json}\u0000\u0004last`);
    expect(readStop(body)).toEqual({
      reason: "kicked",
      detail: { code: 4003, text: "bye", abort: false, messages: [text("last")] },
    });
  });

  test.each([{ abort: true }, { abort: true, messages: [text("a"), text("b")] }, {}, { text: "x" }])(
    "a stop with %j ends a connection of another node",
    async (detail) => {
      const { cluster, nodes, members } = await setUp(2);
      const address = nodes[1]!.pubsub.address(members[1]!.self);
      nodes[0]!.pubsub.stop(address, "kicked", detail);
      nodes[0]!.pubsub.topic("room").stop("kicked", detail);
      await cluster.settle();
      for (const { client } of members) await client.ended;
      expect(nodes.map(({ pubsub }) => pubsub.stats.subscriptions)).toEqual([0, 0]);
      expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ malformed: 0 });
    },
  );

  test("what was written is read", () => {
    fc.assert(
      fc.property(envelopes, (written) => {
        const read = readEnvelope(write(written));
        const toWellFormed = (address: string): string => Buffer.from(address).toString();
        const expected = written.entries.map((entry) => ({ ...entry, except: entry.except.map(toWellFormed) }));
        expect(read).toEqual({ ...written, entries: expected });
      }),
      { numRuns: 300 },
    );
  });

  test("every prefix is refused, and so is what has bytes after the last entry", () => {
    fc.assert(
      fc.property(envelopes, (written) => {
        const bytes = write(written);
        for (let length = 0; length < bytes.length; length++)
          expect(() => readEnvelope(bytes.subarray(0, length))).toThrow(MalformedError);
        expect(() => readEnvelope(Buffer.concat([bytes, Uint8Array.of(0)]))).toThrow(MalformedError);
      }),
      { numRuns: 30 },
    );
  });

  test("random bytes are refused or read, and nothing else", () => {
    const damaged = fc.tuple(envelopes, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([written, at, value]) => {
      const bytes = write(written).slice();
      bytes[at % bytes.length] = value;
      return bytes;
    });
    const random = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(
        fc.oneof(
          damaged,
          random,
          random.map((rest) => Uint8Array.of(1, ...rest)),
        ),
        (bytes) => {
          try {
            readEnvelope(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedError);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

/** Two nodes, one of which publishes a message after `bytes` came from somebody else: nothing else arrives. */
const receiveFromStranger = async (channel: string, ...all: readonly Uint8Array[]): Promise<Rooms> => {
  const rooms = await setUp(2);
  const { cluster, nodes, members } = rooms;
  const publish = strangerOn(cluster);
  await cluster.settle();
  for (const bytes of all) publish(channel, bytes);
  await cluster.settle();
  nodes[0]!.pubsub.topic("room").publish(text("after"));
  await cluster.settle();
  for (const { texts } of members) expect(texts()).toEqual(["after"]);
  for (const { events } of nodes) expect(events).toEqual([{ type: "up" }]);
  return rooms;
};

const malformedOf = ({ nodes }: Rooms): number[] => nodes.map(({ pubsub }) => pubsub.stats.backplane!.malformed);

describe("from somebody else", () => {
  const whole = envelope([
    [EntryType.text, "one"],
    [EntryType.binary, Uint8Array.of(1, 2, 3)],
  ]);

  test("every prefix of an envelope is counted, and nothing of it delivered", async () => {
    const prefixes = Array.from(whole, (_, length) => whole.slice(0, length));
    expect(malformedOf(await receiveFromStranger("t:room", ...prefixes))).toEqual([whole.length, whole.length]);
  });

  test.each([
    ["a length beyond the end", [[EntryType.text, "one"]], (bytes: Uint8Array) => bytes.with(36, 200)],
    ["a length that does not end", [[EntryType.text, "one"]], (bytes: Uint8Array) => bytes.fill(0xff, 36)],
    ["a number of 0", [[EntryType.text, "one"]], (bytes: Uint8Array) => bytes.fill(0, 21, 27)],
    ["no entries", [], (bytes: Uint8Array) => bytes],
    [
      "a text that is not UTF-8",
      [
        [EntryType.text, "one"],
        [EntryType.text, Uint8Array.of(0xff)],
      ],
    ],
    [
      "a ping that is too long",
      [
        [EntryType.text, "one"],
        [EntryType.ping, "x".repeat(126)],
      ],
    ],
    [
      "a stop that is not JSON",
      [
        [EntryType.text, "one"],
        [EntryType.stop, "\u0001{"],
      ],
    ],
    [
      "a stop that is null",
      [
        [EntryType.text, "one"],
        [EntryType.stop, "\u0004null"],
      ],
    ],
    [
      "a stop without a reason",
      [
        [EntryType.text, "one"],
        [EntryType.stop, "\u0002{}"],
      ],
    ],
    ["a stop with an invalid close code", [[EntryType.stop, '\u0019{"reason":"x","code":1005}']]],
    ["a stop with an empty message list that is cut", [[EntryType.stop, '\u000e{"reason":"x"}\u0000']]],
  ] as const)(
    "%s is counted, and nothing of it delivered",
    async (_, list, damage?: (bytes: Uint8Array) => Uint8Array) => {
      const bytes = envelope(list);
      expect(malformedOf(await receiveFromStranger("t:room", damage?.(bytes) ?? bytes))).toEqual([1, 1]);
    },
  );

  test.each([
    ["a probe that is cut", EntryType.probe, "x"],
    ["an address that is cut", EntryType.addressInfo, "\u0050x"],
    ["an address that is not UTF-8", EntryType.addressInfo, Uint8Array.of(1, 0xff)],
    ["a stop of an address that is cut", EntryType.addressStop, "\u0001x\u0009{}"],
    ["a beat that is cut", EntryType.beat, "\u0001x\u0000"],
  ])("%s is counted in the channel of all nodes", async (_, type, body) => {
    expect(malformedOf(await receiveFromStranger("all", envelope([[type, body]])))).toEqual([1, 1]);
  });

  test("a future version is counted, and ignored", async () => {
    const { nodes } = await receiveFromStranger("t:room", whole.with(0, 2), Uint8Array.of(0xff));
    for (const { pubsub } of nodes)
      expect(pubsub.stats.backplane).toMatchObject({ unknownVersion: 2, malformed: 0, nodes: 2 });
  });

  test("random bytes are counted, and nothing of them delivered", async () => {
    const random = fc.sample(fc.uint8Array({ maxLength: 100 }), 500).map((bytes) => Uint8Array.of(1, ...bytes));
    expect(malformedOf(await receiveFromStranger("t:room", ...random))).toEqual([500, 500]);
  });

  test("flags of a later version are ignored; entries of a later version are counted, and are a gap in a topic", async () => {
    const { cluster, nodes, members } = await setUp(2);
    const publish = strangerOn(cluster);
    await cluster.settle();
    const node = crypto.randomUUID();
    const list = [13, 14, 15].map((type) => [type, "later"] as const);
    const mixed = envelope([[EntryType.text, "a"], ...list, [EntryType.text, "b"]], { node });
    mixed[35]! |= 0xc0;
    publish("t:room", mixed);
    publish("t:room", envelope([[EntryType.text, "c"]], { node, first: 6 }));
    publish("all", envelope(list, { node }));
    await cluster.settle();
    for (const member of members) {
      expect(messagesOf(member)).toEqual(["a", "b", "c"]);
      expect(member.texts().filter((each) => each === "info:gap:publisher:1:n")).toHaveLength(3);
    }
    for (const { pubsub } of nodes) expect(pubsub.stats.backplane).toMatchObject({ malformed: 0, unknownVersion: 3 });
  });

  test("entries that belong into another kind of channel do nothing", async () => {
    const { cluster, nodes, members } = await setUp(1);
    const publish = strangerOn(cluster);
    await cluster.settle();
    const address = nodes[0]!.pubsub.address(members[0]!.self);
    const sized = String.fromCharCode(address.length) + address;
    publish(
      "t:room",
      envelope([
        [EntryType.addressInfo, `${sized}"x"`],
        [EntryType.goodbye, ""],
      ]),
    );
    publish(
      "all",
      envelope([
        [EntryType.text, "x"],
        [EntryType.stop, '\u000e{"reason":"x"}'],
      ]),
    );
    await cluster.settle();
    expect(messagesOf(members[0]!)).toEqual([]);
    expect(members[0]!.self.push(text("open"))).toBe(true);
  });

  test("an info that the codec can't decode is reported once for each topic, the next is delivered", async () => {
    const { cluster, nodes, members } = await setUp(1);
    const other = await join(nodes[0]!.pubsub, ["other"]);
    await cluster.settle();
    const publish = strangerOn(cluster);
    await cluster.settle();
    for (const topic of ["room", "room", "other"])
      publish(
        `t:${topic}`,
        envelope([
          [EntryType.info, "{"],
          [EntryType.info, '"good"'],
        ]),
      );
    await cluster.settle();
    const reports = nodes[0]!.events.filter(({ type }) => type === "error");
    expect(reports).toMatchObject([{ topic: "room" }, { topic: "other" }]);
    expect(members[0]!.texts()).toEqual(["info:good", "info:good"]);
    expect(other.texts()).toEqual(["info:good"]);
  });

  test("a codec that throws when it encodes: the caller gets the error, and no number is used", async () => {
    const cause = new Error("not encoded");
    const codec = {
      encode: (): never => {
        throw cause;
      },
      decode: (): unknown => undefined,
    };
    const { cluster, nodes, members } = await setUp(2, { codec });
    const room = nodes[0]!.pubsub.topic<string>("room");
    room.publish(text("a"));
    await cluster.settle();
    expect(() => room.broadcast("x")).toThrow(cause);
    expect(() => nodes[0]!.pubsub.broadcastToNodes("x")).toThrow(cause);
    room.publish(text("b"));
    await cluster.settle();
    for (const { texts } of members) expect(texts()).toEqual(["a", "b"]);
    expect(nodes[1]!.pubsub.stats.backplane).toMatchObject({ missed: 0 });
  });

  test("a message of presence that no node has sent is counted, and the next entry is not lost", async () => {
    const { Presence } = await import("../../../src/pubsub/index.ts");
    const { cluster, nodes } = await setUp(1);
    const presence = new Presence(nodes[0]!.pubsub);
    const infos: unknown[] = [];
    nodes[0]!.pubsub.onNodesInfo((info) => infos.push(info));
    const publish = strangerOn(cluster);
    await cluster.settle();
    publish(
      "all",
      envelope([
        [EntryType.presence, "\u0000"],
        [EntryType.info, '"next"'],
      ]),
    );
    await cluster.settle();
    expect(infos).toEqual(["next"]);
    expect(presence.list("room").size).toBe(0);
    expect(nodes[0]!.pubsub.stats.backplane).toMatchObject({ malformed: 1 });
  });
});
