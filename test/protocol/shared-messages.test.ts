/** Messages that are sent to many connections: encoded once, and compressed once for each compressor. */
import { constants, inflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { nodeDeflate } from "../../src/adapters/node/deflate.ts";
import { binary, type OutMessage, ping, text } from "../../src/message.ts";
import { Connection } from "../../src/protocol/connection.ts";
import type { Compressor } from "../../src/protocol/deflate/compressor.ts";
import type { Deflate } from "../../src/protocol/deflate/deflate-port.ts";
import { SharedMessages } from "../../src/protocol/shared-messages.ts";
import { join, serverFrames, utf8 } from "../support/client-frames.ts";
import { type Agreement, agree, TAKEOVER } from "./compression.ts";
import { FakeSession, FakeStream } from "./fake-wire.ts";
import { allByteOps, NO_LIMITS } from "./parsing.ts";

const SYNC_FLUSH = { finishFlush: constants.Z_SYNC_FLUSH };

const byteOpsOf = allByteOps[0]!.byteOps;

const shared = (messages: readonly OutMessage[], byteOps = byteOpsOf): SharedMessages => {
  const all = new SharedMessages(byteOps);
  for (const message of messages) all.add(message);
  return all;
};

describe("a connection", () => {
  const wire = (agreement?: Agreement) => {
    const stream = new FakeStream();
    const compression = agreement && agree(agreement);
    const connection = new Connection(stream, byteOpsOf, NO_LIMITS, compression);
    stream.open(connection);
    connection.open(new FakeSession());
    return { stream, connection, compression };
  };

  test("writes shared frames immediately, or with what it sends next", () => {
    const { stream, connection } = wire();
    const slice = shared([text("a"), text("b")]).slice(0, 2);
    connection.sendShared([slice], true);
    expect(stream.log).toEqual(["write"]);
    connection.sendShared([slice], false);
    connection.send("text", "c", 1);
    expect(stream.log).toEqual(["write"]);
    stream.tick();
    expect(stream.log).toEqual(["write", "write"]);
    expect(stream.sent).toEqual(["text a", "text b", "text a", "text b", "text c"]);
  });

  test("writes what it has sent before, first", () => {
    const { stream, connection } = wire();
    connection.send("text", "before", 6);
    connection.sendShared([shared([text("a")]).slice(0, 1)], true);
    expect(stream.sent).toEqual(["text before", "text a"]);
    expect(stream.log).toEqual(["write"]);
  });

  test("writes nothing while the stream has a backlog, and nothing after its close frame", () => {
    const { stream, connection } = wire();
    const slice = shared([text("a")]).slice(0, 1);
    stream.stalled = true;
    connection.sendShared([slice], true);
    connection.sendShared([slice], true);
    expect(stream.log).toEqual(["write"]);
    expect(connection.buffered).toBe(6);
    stream.stalled = false;
    stream.drain();
    connection.close(1000, "");
    connection.sendShared([slice], true);
    expect(stream.sent).toEqual(["text a", "text a", "close 1000"]);
  });

  test("passes on large frames without a copy, but does not keep them for a small slice that waits", () => {
    const written: Uint8Array[] = [];
    const { stream, connection } = wire();
    stream.write = (parts) => void written.push(...parts);
    const all = shared([binary(new Uint8Array(100_000)), binary(new Uint8Array(20_000))]);
    const whole = all.slice(0, 2);
    connection.sendShared([whole], true);
    expect(written[0]!.buffer).toBe(whole.frames.buffer);
    stream.buffered = 1;
    connection.sendShared([all.slice(1, 2)], true);
    stream.drain();
    expect(written[1]!.length).toBe(20_004);
    expect(written[1]!.buffer).not.toBe(whole.frames.buffer);
  });

  /** Inflates all messages of a stream, as its client would. */
  const inflated = (stream: FakeStream, { decompressor }: ReturnType<typeof agree>): string[] =>
    serverFrames(join(...stream.written)).map(({ first, payload }) => {
      if ((first & 0x40) === 0) return `plain ${utf8(payload)}`;
      // The decompressor inflates large messages in another thread.
      return utf8(decompressor.decompress(payload, () => undefined) ?? inflateRawSync(payload, SYNC_FLUSH));
    });

  const TEXTS = ["one ".repeat(100), "two ".repeat(200), "ö ".repeat(300)];

  test("compresses each message once for all connections with the same compressor", () => {
    let calls = 0;
    const deflate: Deflate = {
      ...nodeDeflate,
      deflateSync: (data, options) => {
        calls++;
        return nodeDeflate.deflateSync(data, options);
      },
    };
    const agreement = { deflate, threshold: 100, serverNoContextTakeover: true } as const;
    const compression = agree(agreement);
    const connections = Array.from({ length: 5 }, () => {
      const stream = new FakeStream();
      const connection = new Connection(stream, byteOpsOf, NO_LIMITS, compression);
      stream.open(connection);
      connection.open(new FakeSession());
      return { stream, connection };
    });
    const all = shared([...TEXTS.map(text), text("short"), ping("p")]);
    for (const { connection } of connections) connection.sendShared([all.slice(0, 5)], true);
    for (const { stream } of connections)
      expect(inflated(stream, agree(agreement))).toEqual([...TEXTS, "plain short", "plain p"]);
    expect(calls).toBe(TEXTS.length);
  });

  test("receives what it can inflate, whatever window it has negotiated, with and without context takeover", () => {
    const windows = [9, 10, 11, 12, 13, 14, 15];
    const agreements: Agreement[] = windows.flatMap((bits) => [
      { offer: `permessage-deflate; server_max_window_bits=${bits}`, serverNoContextTakeover: true },
      { offer: `permessage-deflate; server_max_window_bits=${bits}`, ...TAKEOVER },
    ]);
    const members = agreements.map((agreement) => ({ agreement, ...wire(agreement) }));
    // Repetitions that are further apart than the smaller windows.
    const noise = Array.from({ length: 3000 }, (_, i) => ((i * 7919) % 10_007).toString(36)).join("");
    const messages = [noise + noise, ...TEXTS, noise, ...TEXTS];
    const all = shared(messages.map(text));
    for (const { connection } of members) {
      connection.sendShared([all.slice(0, 3)], false);
      connection.sendShared([all.slice(3, messages.length)], true);
    }
    const sizes = members.map(({ agreement, stream }) => {
      expect(inflated(stream, agree(agreement))).toEqual(messages);
      return join(...stream.written).length;
    });
    // Each window has its own frames: a larger one compresses better.
    expect(sizes[0]!).toBeGreaterThan(sizes.at(-2)!);
  });

  test("compresses a large message once in another thread, and everything behind it waits", async () => {
    const jobs: (() => void)[] = [];
    const deflate: Deflate = {
      ...nodeDeflate,
      deflate: (data, options, done) => void jobs.push(() => done(nodeDeflate.deflateSync(data, options))),
    };
    const agreement = { deflate, serverNoContextTakeover: true } as const;
    const compression = agree(agreement);
    const compressor: Compressor = compression.compressor;
    const streams = Array.from({ length: 3 }, () => {
      const stream = new FakeStream();
      const connection = new Connection(stream, byteOpsOf, NO_LIMITS, { ...compression, compressor });
      stream.open(connection);
      connection.open(new FakeSession());
      return { stream, connection };
    });
    const large = "large ".repeat(20_000);
    const all = shared([text("first"), text(large), text(TEXTS[0]!), ping("p")]);
    for (const { connection } of streams) {
      connection.sendShared([all.slice(0, 4)], true);
      connection.send("text", "own", 3);
      connection.sendShared([all.slice(0, 1)], true);
    }
    expect(jobs.length).toBe(1);
    for (const { stream, connection } of streams) {
      expect(inflated(stream, agree(agreement))).toEqual(["plain first"]);
      expect(connection.buffered).toBeGreaterThan(large.length);
    }
    for (const job of jobs) job();
    for (const { stream, connection } of streams) {
      stream.tick();
      expect(inflated(stream, agree(agreement))).toEqual([
        "plain first",
        large,
        TEXTS[0],
        "plain p",
        "plain own",
        "plain first",
      ]);
      expect(connection.buffered).toBe(0);
    }
    // The next one is compressed anew.
    streams[0]!.connection.send("text", large, large.length);
    expect(jobs.length).toBe(2);
  });
});
