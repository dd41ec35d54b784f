import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { binary, type IoData, type OutMessage, ping, pong, text } from "websock-js";
import type { CloseDetail } from "../../src/result.ts";
import { checkCloseDetail, checkMessage } from "../../src/session/outgoing.ts";

const euro = [0xe2, 0x82, 0xac] as const;
const bytes = (...octets: number[]): Uint8Array => Uint8Array.from(octets);

describe("checkMessage", () => {
  test.each<[string, OutMessage, size: number]>([
    ["a text", text("h€"), 4],
    ["an empty text", text(""), 0],
    ["a text without data", { opcode: "text" }, 0],
    ["a text whose data is null", { opcode: "text", data: null }, 0],
    ["a text of octets", text(bytes(...euro)), 3],
    ["a text of an ArrayBuffer", text(bytes(...euro).buffer as ArrayBuffer), 3],
    ["a text of no octets", text(new Uint8Array(0)), 0],
    ["a text of a list", text(["a", ["€", bytes(0x62)], []]), 5],
    ["a character split between octets", text([bytes(0xe2), [bytes(0x82)], bytes(0xac)]), 3],
    ["a character split around an empty string", text([bytes(0xe2), "", bytes(0x82, 0xac)]), 3],
    ["a lone surrogate: it is written as U+FFFD", text("\ud800"), 3],
    ["a lone surrogate in a list", text(["\ud800", "\udc00"]), 6],
    ["a binary of any octets", binary(bytes(0xff, 0xfe)), 2],
    ["a binary of a string", binary("€"), 3],
    ["a binary without data", { opcode: "binary" }, 0],
    ["a ping", ping(), 0],
    ["a ping of 125 octets", ping("x".repeat(125)), 125],
    ["a pong of 125 octets", pong([new Uint8Array(100), "x".repeat(25)]), 125],
    ["a ping of octets that are no text", ping(bytes(0xff)), 1],
  ])("takes %s", (_name, message, size) => {
    expect(checkMessage(message)).toBe(size);
  });

  test.each<[string, OutMessage]>([
    ["a ping of 126 octets", ping("x".repeat(126))],
    ["a ping of 42 three-octet characters", ping("€".repeat(42))],
    ["a pong of 126 octets", pong([new Uint8Array(125), "x"])],
    ["a text of octets that are no UTF-8", text(bytes(0x61, 0xff))],
    ["a text of octets in a list that are none", text(["a", [bytes(0xc3)], "b"])],
    ["a text that ends within a character", text(bytes(0xe2, 0x82))],
    ["a text that ends within a character of a list", text(["a", bytes(0xe2), bytes(0x82)])],
    ["a character split between octets and a string", text([bytes(0xe2), "x", bytes(0x82, 0xac)])],
    ["a text of an ArrayBuffer that is none", text(bytes(0x80).buffer as ArrayBuffer)],
  ])("refuses %s", (_name, message) => {
    expect(() => checkMessage(message)).toThrow(RangeError);
  });

  test.each<[string, unknown]>([
    ["null", null],
    ["undefined", undefined],
    ["a string", "hello"],
    ["a number", 1],
    ["an empty object", {}],
    ["a close", { opcode: "close", data: "" }],
    ["an unknown opcode", { opcode: "txt", data: "x" }],
    ["a numeric opcode", { opcode: 1, data: "x" }],
    ["an inherited name", { opcode: "constructor" }],
    ["a number for data", { opcode: "text", data: 1 }],
    ["an object for data", { opcode: "text", data: { a: 1 } }],
    ["a number in a list", { opcode: "binary", data: ["a", [1]] }],
    ["a hole in a list", { opcode: "binary", data: ["a", undefined] }],
    ["a DataView", { opcode: "binary", data: new DataView(new ArrayBuffer(1)) }],
    ["false for data", { opcode: "text", data: false }],
  ])("says that %s is no message", (_name, message) => {
    expect(() => checkMessage(message as OutMessage)).toThrow(TypeError);
  });

  test("takes a text of octets exactly if they are UTF-8, however they are cut into parts", () => {
    const octets = fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc.string({ unit: "binary" }).map((s) => new TextEncoder().encode(s)),
    );
    fc.assert(
      fc.property(octets, fc.nat(10), (bytes, cut) => {
        const isText = Buffer.compare(Buffer.from(Buffer.from(bytes).toString()), bytes) === 0;
        const forms: IoData[] = [bytes, [bytes.slice(0, cut), [bytes.slice(cut)]], bytes.slice().buffer];
        for (const data of forms) {
          if (isText) expect(checkMessage(text(data))).toBe(bytes.length);
          else expect(() => checkMessage(text(data))).toThrow(RangeError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe("checkCloseDetail", () => {
  test.each<[CloseDetail, code: number, text: string]>([
    [1000, 1000, ""],
    [4999, 4999, ""],
    [[1000], 1000, ""],
    [[1000, null], 1000, ""],
    [[1000, undefined] as unknown as CloseDetail, 1000, ""],
    [[3000, ""], 3000, ""],
    [[4001, "€".repeat(41)], 4001, "€".repeat(41)],
  ])("takes %j", (detail, code, text) => {
    expect(checkCloseDetail(detail)).toEqual({ code, text });
  });

  test.each<[CloseDetail]>([
    [0],
    [999],
    [1004],
    [1005],
    [1006],
    [1015],
    [1016],
    [2999],
    [5000],
    [1000.5],
    [Number.NaN],
    [[1005, "x"]],
    [[1000, "x".repeat(124)]],
    [[1000, "€".repeat(42)]],
  ])("refuses %j", (detail) => {
    expect(() => checkCloseDetail(detail)).toThrow(RangeError);
  });

  test.each<[unknown]>([
    ["1000"],
    [null],
    [undefined],
    [{ code: 1000 }],
    [[]],
    [["1000"]],
    [[1000, 1]],
    [[1000, {}]],
    [[[1000]]],
  ])("says that %j is no close detail", (detail) => {
    expect(() => checkCloseDetail(detail as CloseDetail)).toThrow(TypeError);
  });
});
