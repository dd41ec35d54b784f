/** Members whose clients have negotiated different compressions receive what is published to one topic. */
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import { type OutMessage, ping, text } from "websock-js";
import { testPubSub } from "websock-js/testing";
import { Inflater } from "../../packages/websock-conformance/src/inflater.ts";
import { compressionOf } from "../../src/adapters/node/compression.ts";
import { nodeDeflate } from "../../src/adapters/node/deflate.ts";
import { resolveOptions } from "../../src/options.ts";
import { negotiateDeflate } from "../../src/protocol/deflate/negotiation.ts";
import { parseExtensions } from "../../src/protocol/http/extensions.ts";
import { TAKEOVER } from "../protocol/compression.ts";
import { join, serverFrames, utf8 } from "../support/client-frames.ts";
import { ByteHost, type ByteMember } from "./byte-members.ts";

/** The largest is negotiated first: if others wrongly shared its compressor, their clients could not inflate. */
const WINDOWS = [15, 14, 13, 12, 11, 10, 9, 8];
const RSV1 = 0x40;

/** Jobs for other threads. They run when the test calls them. */
const jobs: (() => void)[] = [];
let compressions: MockInstance<typeof nodeDeflate.deflateSync>;

beforeEach(() => {
  compressions = vi.spyOn(nodeDeflate, "deflateSync");
  vi.spyOn(nodeDeflate, "deflate").mockImplementation((data, options, done) => {
    jobs.push(() => done(nodeDeflate.deflateSync(data, options)));
  });
});

afterEach(() => void vi.restoreAllMocks());

const tick = (host: ByteHost): void => {
  host.tick();
  while (jobs.length > 0) for (const run of jobs.splice(0)) run();
  host.tick();
};

interface Compressed extends ByteMember {
  /**
   * The messages that its client has received. It inflates them with a decoder that refuses a too distant reference.
   */
  readonly received: () => string[];
}

const setup = () => {
  const host = new ByteHost();
  const pubsub = testPubSub();
  const options = resolveOptions({ compress: { threshold: 0, ...TAKEOVER } });
  const joinWith = (windowBits: number, takeover: boolean): Compressed => {
    const offer = `permessage-deflate; server_max_window_bits=${windowBits}`;
    const extensions = takeover ? offer : `${offer}; server_no_context_takeover`;
    const parameters = negotiateDeflate(parseExtensions(extensions)!, options.compress!)!;
    const member = host.join(pubsub, ["room", "hall"], { compression: compressionOf(options, parameters) });
    const inflater = new Inflater(windowBits, takeover);
    const received = () =>
      serverFrames(join(...member.stream.written)).map(({ first, payload }) =>
        utf8((first & RSV1) === 0 ? payload : inflater.inflate(payload)),
      );
    return { ...member, received };
  };
  return { host, joinWith, room: pubsub.topic("room"), hall: pubsub.topic("hall"), pubsub };
};

/** Numbers without a pattern, as text of about 10 kB: repeated, it contains references over that distance. */
const noise = (seed: number): string =>
  Array.from({ length: 3_000 }, (_, i) => ((i * 7_919 * seed) % 10_007).toString(36)).join("");

const MESSAGES: readonly string[] = [noise(1), noise(1) + noise(1), "", "ö ".repeat(300), noise(2), noise(1)];

/** A message that is compressed in another thread. */
const LARGE = noise(3).repeat(10);

describe("one compression for all members", () => {
  test("whose windows are equal, and who have no context takeover", () => {
    const { host, joinWith, room } = setup();
    const members = WINDOWS.flatMap((bits) => [joinWith(bits, false), joinWith(bits, false), joinWith(bits, false)]);
    for (const message of MESSAGES) room.publish(text(message));
    room.publish(text(LARGE));
    tick(host);
    for (const { received } of members) expect(received()).toEqual([...MESSAGES, LARGE]);
    const windows = compressions.mock.calls.map(([, { windowBits }]) => windowBits);
    for (const bits of WINDOWS) expect(windows.filter((each) => each === bits).length).toBe(MESSAGES.length + 1);
  });

  test("also if some are sent a part of the batch earlier, because they send messages of their own", () => {
    const { host, joinWith, room } = setup();
    const members = [15, 9, 15, 9].map((bits) => joinWith(bits, false));
    const [wide, narrow] = members as [Compressed, Compressed];
    const [first, second] = [noise(1) + noise(1), noise(2) + noise(2)];
    room.publish(text(first));
    narrow.self.push(text("own"));
    room.publish(text(second));
    wide.self.push(text("own"));
    tick(host);
    const received = members.map((member) => member.received());
    expect(received).toEqual([
      [first, second, "own"],
      [first, "own", second],
      [first, second],
      [first, second],
    ]);
    expect(compressions.mock.calls.filter(([data]) => data.length > 1_000).length).toBe(4);
  });
});

test("each member can inflate what it receives: any window, with and without context takeover, or none", () => {
  const { host, joinWith, room, hall, pubsub } = setup();
  const members = WINDOWS.flatMap((bits) => [joinWith(bits, true), joinWith(bits, false), joinWith(bits, true)]);
  const plain = host.join(pubsub, ["room", "hall"]);
  const published: string[] = [];
  const publish = (topic: typeof room, ...messages: readonly string[]): void => {
    topic.publish(messages.map(text));
    published.push(...messages);
  };
  const expected = members.map((): string[] => []);
  for (let round = 0; round < 3; round++) {
    publish(room, ...MESSAGES);
    publish(hall, noise(2));
    for (const [i, { self }] of members.entries()) {
      // Between the shared messages, each member's context gets other messages of its own.
      const own: OutMessage[] = i % 2 === 0 ? [text(`own ${i} `.repeat(50)), ping("p")] : [];
      expected[i]!.push(...published.slice(published.length - MESSAGES.length - 1));
      if (own.length > 0) self.push(own);
      if (own.length > 0) expected[i]!.push(`own ${i} `.repeat(50), "p");
    }
    publish(room, LARGE, "behind a large one");
    for (const each of expected) each.push(LARGE, "behind a large one");
    tick(host);
  }
  for (const [i, { received }] of members.entries()) expect(received()).toEqual(expected[i]);
  expect(plain.sent()).toEqual(published.map((each) => `text ${each}`.trim()));
});
