import { constants, createInflateRaw, type Inflate, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { nodeDeflate } from "../../../src/adapters/node/deflate.ts";
import type { IoData } from "../../../src/message.ts";
import type { Compressor } from "../../../src/protocol/deflate/compressor.ts";
import { ioLength } from "../../../src/protocol/io-data.ts";
import { agree, TAKEOVER } from "../compression.ts";

/** RFC 7692 §7.2.2, by a zlib stream that lives as long as the connection. */
class Receiver {
  private readonly inflate: Inflate;
  constructor(windowBits = 15) {
    this.inflate = createInflateRaw({ windowBits, chunkSize: 64 });
  }
  read(payload: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      this.inflate
        .removeAllListeners()
        .on("error", reject)
        .on("data", (chunk: Buffer) => chunks.push(chunk));
      this.inflate.write(payload);
      this.inflate.write(Buffer.from([0x00, 0x00, 0xff, 0xff]));
      this.inflate.flush(constants.Z_SYNC_FLUSH, () => resolve(Buffer.concat(chunks)));
    });
  }
}

const compress = (compressor: Compressor, data: IoData): Uint8Array | undefined =>
  compressor.compress(data, ioLength(data));

const later = (compressor: Compressor, data: IoData): Promise<Uint8Array | undefined> =>
  new Promise((resolve) => compressor.compressLater(data, ioLength(data), resolve));

const inflate = (payload: Uint8Array): string =>
  inflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).toString();

const TEXT = '{"user":"alice","text":"hello there, hello again, and hello once more"}'.repeat(4);

describe("Compressor", () => {
  test("compresses text, octets and lists of them, and leaves the tail off", () => {
    for (const data of [TEXT, Buffer.from(TEXT), [TEXT.slice(0, 10), [Buffer.from(TEXT.slice(10))]]]) {
      const payload = compress(agree().compressor, data)!;
      expect(payload.length).toBeLessThan(TEXT.length / 2);
      expect(inflate(payload)).toBe(TEXT);
      expect([...payload.subarray(-4)]).not.toEqual([0, 0, 0xff, 0xff]);
    }
  });

  test("an empty message is one octet (RFC 7692 §7.2.3.6)", () => {
    expect([...compress(agree().compressor, "")!]).toEqual([0]);
  });

  test("leaves alone what would not become smaller", () => {
    expect(compress(agree().compressor, "abc")).toBeUndefined();
    expect(compress(agree(TAKEOVER).compressor, crypto.getRandomValues(new Uint8Array(1000)))).toBeUndefined();
  });

  test("compresses a message that goes to many once, text and octets, and tells it from one as long", () => {
    let calls = 0;
    const deflate = {
      ...nodeDeflate,
      deflateSync: (...args: Parameters<typeof nodeDeflate.deflateSync>) => {
        calls++;
        return nodeDeflate.deflateSync(...args);
      },
    };
    const { compressor } = agree({ deflate });
    const octets = Buffer.from(TEXT);
    expect(compress(compressor, TEXT)).toBe(compress(compressor, TEXT));
    expect(calls).toBe(1);
    expect(compress(compressor, octets)).toBe(compress(compressor, [octets.subarray(0, 7), octets.subarray(7)]));
    expect(calls).toBe(2);
    // Its owner may change it: what it contains counts, not which memory it is.
    octets[5] = 0x21;
    expect(inflate(compress(compressor, octets)!)).toBe(octets.toString());
    expect(calls).toBe(3);
  });

  test.each([8, 9, 10, 15])("never reaches further back than a window of 2^%i", async (bits) => {
    const word = fc.string({ minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(word, { maxLength: 60, size: "max" }), { maxLength: 6 }), async (messages) => {
        for (const takeover of [true, false]) {
          const { compressor } = agree({
            offer: `permessage-deflate; server_max_window_bits=${bits}`,
            serverNoContextTakeover: !takeover,
          });
          // With a window of 2^8 and little room for output, zlib refuses what reaches further.
          const receiver = takeover ? new Receiver(bits) : undefined;
          for (const message of messages) {
            const data = message.join(" ").repeat(3);
            const payload = compress(compressor, data);
            if (payload === undefined) continue;
            const got = await (receiver ?? new Receiver(bits)).read(payload);
            expect(got.toString()).toBe(data);
          }
        }
      }),
      { numRuns: 25 },
    );
  });

  test("with context takeover, a message like the one before is hardly anything", async () => {
    const { compressor } = agree(TAKEOVER);
    const receiver = new Receiver();
    const sizes: number[] = [];
    for (let i = 0; i < 5; i++) {
      const message = `{"from":"alice","id":${i},"text":"see you at the usual place, at the usual time, as usual"}`;
      const payload = (i % 2 ? compress(compressor, message) : await later(compressor, message))!;
      sizes.push(payload.length);
      expect((await receiver.read(payload)).toString()).toBe(message);
    }
    expect(Math.max(...sizes.slice(1))).toBeLessThan(sizes[0]! / 3);
  });

  test("what was sent uncompressed is not in the window", async () => {
    const { compressor } = agree(TAKEOVER);
    const receiver = new Receiver();
    const noise = Buffer.from(crypto.getRandomValues(new Uint8Array(64)));
    expect(compress(compressor, noise)).toBeUndefined();
    const message = Buffer.concat([noise, Buffer.from(TEXT)]);
    expect(await receiver.read(compress(compressor, message)!)).toEqual(message);
  });
});
