import { constants, deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ProtocolError } from "../../../src/errors.ts";
import type { Decompressor } from "../../../src/protocol/deflate/decompressor.ts";
import { type Agreement, agree, TAKEOVER } from "../compression.ts";

const deflate = (data: Uint8Array | string, options: object = {}): Uint8Array =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH, ...options }).subarray(0, -4);

/** The result of a payload, and whether it was returned synchronously. */
const read = (decompressor: Decompressor, payload: Uint8Array): Promise<[result: Uint8Array | number, now: boolean]> =>
  new Promise((resolve) => {
    try {
      const result = decompressor.decompress(payload, (later) =>
        resolve([later instanceof ProtocolError ? later.closeCode : later, false]),
      );
      if (result !== undefined) resolve([result, true]);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      resolve([error.closeCode, true]);
    }
  });

const readAs = async (agreement: Agreement, payload: Uint8Array) => read(agree(agreement).decompressor, payload);

const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");

describe("Decompressor", () => {
  // RFC 7692 §7.2.3.1–5, word for word.
  test.each([
    ["one block", "f2 48 cd c9 c9 07 00"],
    ["no compression", "00 05 00 fa ff 48 65 6c 6c 6f 00"],
    ["a final block", "f3 48 cd c9 c9 07 00 00"],
    ["two blocks", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00"],
  ])("reads the RFC's example: %s", async (_, payload) => {
    const [result, now] = await readAs({}, hex(payload));
    expect([Buffer.from(result as Uint8Array).toString(), now]).toEqual(["Hello", true]);
  });

  test("continues after a final block, and the next stream may refer to the data before it", async () => {
    const [result] = await readAs({}, hex("f3 48 cd c9 c9 07 00 f3 00 11 00 00"));
    expect(Buffer.from(result as Uint8Array).toString()).toBe("HelloHello");
    // Also in another thread: a final block, and a large stream behind it.
    const noise = Buffer.concat(Array.from({ length: 80 }, () => crypto.getRandomValues(new Uint8Array(1024))));
    const [large, now] = await readAs({}, Buffer.concat([hex("f3 48 cd c9 c9 07 00"), deflate(noise)]));
    expect([Buffer.concat([Buffer.from("Hello"), noise]).equals(large as Uint8Array), now]).toEqual([true, false]);
  });

  test("reads the RFC's example of context takeover", async () => {
    const { decompressor } = agree(TAKEOVER);
    for (const payload of ["f2 48 cd c9 c9 07 00", "f2 00 11 00 00"]) {
      expect(Buffer.from((await read(decompressor, hex(payload)))[0] as Uint8Array).toString()).toBe("Hello");
    }
  });

  test("reads an empty message", async () => {
    expect((await readAs({}, hex("00")))[0]).toEqual(Buffer.alloc(0));
  });

  test.each([
    ["nothing at all", ""],
    ["a reserved block type", "06 00"],
    ["a distance before the beginning", "f2 00 11 00 00"],
    ["random bytes", "ff ff ff ff ff"],
    ["a stream that is cut off", "f2 48 cd c9"],
    ["rubbish behind a final block", "f3 48 cd c9 c9 07 00 ff ff"],
    ["more streams than anybody has a reason for", "03 00 ".repeat(65)],
  ])("refuses %s with 1007", async (_, payload) => {
    expect((await readAs({}, hex(payload)))[0]).toBe(1007);
  });

  test("stops at maxMessageSize, and not one byte earlier", async () => {
    for (const maxMessageSize of [100, 65_536, 65_537, 1_000_000]) {
      const data = Buffer.alloc(maxMessageSize, "ab");
      const agreement = { maxMessageSize };
      expect(((await readAs(agreement, deflate(data)))[0] as Uint8Array).length).toBe(maxMessageSize);
      expect((await readAs(agreement, deflate(Buffer.concat([data, Buffer.from("c")]))))[0]).toBe(1009);
    }
  });

  test("above 64 KiB, stops at maxInflation times the compressed size", async () => {
    expect(((await readAs({ maxInflation: 1 }, deflate(Buffer.alloc(65_536))))[0] as Uint8Array).length).toBe(65_536);
    const bomb = deflate(Buffer.alloc(1_000_000));
    expect((await readAs({ maxInflation: 500 }, bomb))[0]).toBe(1009);
    for (const agreement of [{ maxInflation: 1100 }, {}]) {
      expect(((await readAs(agreement, bomb))[0] as Uint8Array).length).toBe(1_000_000);
    }
  });

  test("inflates small messages synchronously, and large ones in a later event-loop tick", async () => {
    const noise = (size: number): Uint8Array =>
      Buffer.concat(Array.from({ length: size / 1024 }, () => crypto.getRandomValues(new Uint8Array(1024))));
    expect((await readAs({}, deflate(noise(60 * 1024))))[1]).toBe(true);
    expect((await readAs({}, deflate(noise(80 * 1024))))[1]).toBe(false);
    expect((await readAs({}, deflate("0123456789".repeat(7000))))[1]).toBe(false);
    expect((await readAs({}, deflate("0123456789".repeat(6000))))[1]).toBe(true);
    // A limit below 64 KiB is exceeded synchronously.
    expect(await readAs({ maxMessageSize: 10 }, deflate("0123456789".repeat(7000)))).toEqual([1009, true]);
  });

  test("inflates messages of any window size, with and without context takeover", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.string({ maxLength: 300, size: "max" }),
            fc.string({ maxLength: 40 }).map((s) => s.repeat(2000)),
          ),
        ),
        fc.integer({ min: 9, max: 15 }),
        async (messages, windowBits) => {
          for (const takeover of [true, false]) {
            const { decompressor } = agree({ clientNoContextTakeover: !takeover });
            let before = Buffer.alloc(0);
            for (const message of messages) {
              const dictionary = takeover && before.length > 0 ? { dictionary: before } : {};
              const payload = deflate(message, { windowBits, ...dictionary });
              const [result] = await read(decompressor, payload);
              expect(Buffer.from(result as Uint8Array).toString()).toBe(message);
              before = Buffer.concat([before, Buffer.from(message)]).subarray(-32_768);
            }
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("random bytes are inflated or refused with 1007", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200, size: "max" }), async (payload) => {
        const [result] = await readAs({}, payload);
        expect(result instanceof Uint8Array || result === 1007).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
