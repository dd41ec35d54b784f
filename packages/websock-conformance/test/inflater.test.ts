import { constants, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Deflate } from "../src/deflate.ts";
import { Inflater } from "../src/inflater.ts";
import { hex, json, noise } from "../src/payloads.ts";

/** zlib's data without the four bytes that the sender removes. */
const cut = (payload: Uint8Array, options: Parameters<typeof deflateRawSync>[1] = {}): Buffer =>
  deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);

/** Bytes that repeat themselves, near and far. */
const repetitive = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(40)), { maxLength: 30 })
  .map((runs) => Buffer.concat(runs.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes))));

test("inflates what zlib deflates, whatever its options", () => {
  const options = fc.record({
    level: fc.integer({ min: 0, max: 9 }),
    memLevel: fc.integer({ min: 1, max: 9 }),
    windowBits: fc.integer({ min: 9, max: 15 }),
    strategy: fc.constantFrom(
      constants.Z_DEFAULT_STRATEGY,
      constants.Z_FILTERED,
      constants.Z_FIXED,
      constants.Z_HUFFMAN_ONLY,
      constants.Z_RLE,
    ),
  });
  fc.assert(
    fc.property(repetitive, options, (payload, chosen) => {
      fc.pre(payload.length > 0);
      const inflater = new Inflater(chosen.windowBits, false);
      expect(inflater.inflate(cut(payload, chosen)).equals(payload)).toBe(true);
    }),
  );
});

test("the client's messages never refer beyond the negotiated window, and decompress in order", () => {
  const bits = fc.integer({ min: 8, max: 15 });
  fc.assert(
    fc.property(
      bits,
      fc.boolean(),
      fc.array(repetitive, { maxLength: 4 }),
      (clientMaxWindowBits, takeover, payloads) => {
        const params = { serverNoContextTakeover: true, serverMaxWindowBits: 15 };
        const sender = new Deflate({ ...params, clientMaxWindowBits, clientNoContextTakeover: !takeover });
        const inflater = new Inflater(clientMaxWindowBits, takeover);
        for (const payload of payloads) {
          const blocks = payload.length % 3 === 0 ? [payload.length >> 1] : [];
          expect(inflater.inflate(sender.compress(payload, { blocks })).equals(payload)).toBe(true);
        }
        expect(inflater.farthest).toBeLessThanOrEqual(2 ** clientMaxWindowBits);
      },
    ),
  );
});

test("context takeover is used if it was negotiated: the second of two equal messages is small", () => {
  const params = { serverNoContextTakeover: false, serverMaxWindowBits: 15, clientMaxWindowBits: 15 };
  const keeps = new Deflate({ ...params, clientNoContextTakeover: false });
  const forgets = new Deflate({ ...params, clientNoContextTakeover: true });
  const message = json(2_000);
  expect(keeps.compress(message).equals(forgets.compress(message))).toBe(true);
  expect(keeps.compress(message).length).toBeLessThan(40);
  expect(forgets.compress(message).length).toBeGreaterThan(200);
});

test("an error names the distance of the reference", () => {
  const far = noise(300);
  const inflater = new Inflater(15, false);
  inflater.inflate(cut(Buffer.concat([far, noise(5_000, 7), far])));
  expect(inflater.farthest).toBe(5_300);
  expect(() => new Inflater(12, false).inflate(cut(Buffer.concat([far, noise(5_000, 7), far])))).toThrow(
    /refers back 5300 bytes, with a window of 4096/,
  );
});

describe("the examples of RFC 7692 §7.2.3", () => {
  const hello = Buffer.from("Hello");
  for (const digits of [
    "f2 48 cd c9 c9 07 00",
    "f3 48 cd c9 c9 07 00 00",
    "00 05 00 fa ff 48 65 6c 6c 6f 00",
    "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",
    "01 03 00 fc ff 48 65 6c 00 02 00 fd ff 6c 6f 00",
  ]) {
    test(digits, () => expect(new Inflater(15, false).inflate(hex(digits))).toEqual(hello));
  }
  test("with the context of the message before", () => {
    const keeps = new Inflater(15, true);
    expect(keeps.inflate(hex("f2 48 cd c9 c9 07 00"))).toEqual(hello);
    expect(keeps.inflate(hex("f2 00 11 00 00"))).toEqual(hello);
    const forgets = new Inflater(15, false);
    expect(forgets.inflate(hex("f2 48 cd c9 c9 07 00"))).toEqual(hello);
    expect(() => forgets.inflate(hex("f2 00 11 00 00"))).toThrow(/before the start/);
  });
});

describe("refuses", () => {
  test.each([
    ["a reserved block type", "06 00", /reserved type/],
    ["a stored block with a wrong complement", "00 05 00 00 00 48 65 6c 6c 6f 00", /differ/],
    ["a reference to before the beginning", "02 02 00 00", /before the start/],
    ["the end within a block", "f2 48 cd", /within a block|undefined/],
    ["no data", "", /within a block|differ/],
    ["the tail that should be removed", "f2 48 cd c9 c9 07 00 00 00 ff ff", /within a block|differ/],
    ["too many codes", "fc ff ff ff ff ff ff ff ff ff ff", /./],
  ])("%s", (_, digits, why) => {
    expect(() => new Inflater(15, false).inflate(hex(digits))).toThrow(why);
  });

  test("or decompresses any input, and never hangs or fails otherwise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          new Inflater(15, false).inflate(bytes);
        } catch (error) {
          expect((error as Error).constructor.name).toBe("Failure");
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
