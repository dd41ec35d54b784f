import { describe, expect, test } from "vitest";
import { codedRangeError } from "../../src/error-codes.ts";
import { ProtocolError } from "../../src/errors.ts";
import { CLOSE, checkClose, closePayload, isCloseCode, parseClose } from "../../src/protocol/close.ts";
import { allByteOps } from "./parsing.ts";

/** RFC 6455 §7.4 and the IANA registry. */
const valid = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4999];
const invalid = [-1, 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535, 66_536];

describe("close codes", () => {
  test.each(valid)("%i may be sent", (code) => {
    expect(isCloseCode(code)).toBe(true);
    expect(() => checkClose(code, "")).not.toThrow();
  });

  test.each([...invalid, 1000.5, Number.NaN, Number.POSITIVE_INFINITY])("%d may not be sent", (code) => {
    expect(isCloseCode(code)).toBe(false);
    expect(() => checkClose(code, "")).toThrow(RangeError);
  });

  test("only the codes that RFC 6455 reserves for reporting may not be sent", () => {
    const unsendable = Object.entries(CLOSE).filter(([, code]) => !isCloseCode(code));
    expect(unsendable.map(([name]) => name)).toEqual([
      "reserved",
      "noStatusReceived",
      "abnormalClosure",
      "tlsHandshake",
    ]);
  });
});

describe("close texts", () => {
  test.each(["", "x".repeat(123), "€".repeat(41), `${"😀".repeat(30)}abc`])("%j may be sent", (text) => {
    expect(() => checkClose(1000, text)).not.toThrow();
  });

  test.each(["x".repeat(124), `€${"x".repeat(121)}`, "€".repeat(42), "😀".repeat(31)])("%j is too long", (text) => {
    expect(() => checkClose(1000, text)).toThrow(
      codedRangeError(
        "WEBSOCK_INVALID_CLOSE",
        "the close reason text must be at most 123 bytes of UTF-8 (RFC 6455 §5.5)",
      ),
    );
  });
});

describe.each(allByteOps)("close payloads with $name", ({ byteOps }) => {
  test.each([
    [{ code: undefined, text: "" }, []],
    [{ code: 1000, text: "" }, [0x03, 0xe8]],
    [{ code: 4999, text: "é!" }, [0x13, 0x87, 0xc3, 0xa9, 0x21]],
  ])("%o", (close, payload) => {
    expect([...closePayload(close, byteOps)]).toEqual(payload);
    expect(parseClose(Uint8Array.from(payload), byteOps)).toEqual(close);
  });

  test("a close frame may have 125 bytes", () => {
    const close = { code: 3000, text: "€".repeat(41) };
    const payload = closePayload(close, byteOps);
    expect(payload.length).toBe(125);
    expect(parseClose(payload, byteOps)).toEqual(close);
  });

  test("a byte order mark is kept", () => {
    const close = { code: 1000, text: "\ufeffx" };
    expect(parseClose(closePayload(close, byteOps), byteOps)).toEqual(close);
  });

  const refusal = (payload: number[]): number | undefined => {
    try {
      parseClose(Uint8Array.from(payload), byteOps);
      return undefined;
    } catch (error) {
      if (error instanceof ProtocolError) return error.closeCode;
      throw error;
    }
  };

  test.each(invalid.filter((code) => code >= 0 && code < 65_536))("code %i is refused with 1002", (code) => {
    expect(refusal([code >> 8, code & 0xff])).toBe(1002);
  });

  test.each(valid)("code %i is accepted", (code) => {
    expect(refusal([code >> 8, code & 0xff])).toBeUndefined();
  });

  test("one byte is refused with 1002, invalid UTF-8 with 1007", () => {
    expect(refusal([0x03])).toBe(1002);
    expect(refusal([0x03, 0xe8, 0xff])).toBe(1007);
    expect(refusal([0x03, 0xe8, 0x61, 0xc3])).toBe(1007);
    // The code is checked first.
    expect(refusal([0x03, 0xed, 0xff])).toBe(1002);
  });
});
