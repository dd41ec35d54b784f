import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { acceptFor, isKey, offeredSubprotocols } from "../../../src/protocol/http/handshake.ts";

const sha1 = (input: string): string => createHash("sha1").update(input).digest("base64");

describe("acceptFor", () => {
  test("answers the RFC's example (§1.3)", () => {
    expect(acceptFor("dGhlIHNhbXBsZSBub25jZQ==", sha1)).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });

  test("hashes the key as it is, spaces and all", () => {
    expect(acceptFor("x", (input) => input)).toBe("x258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
  });
});

describe("isKey", () => {
  test("is false of the base64 of any other number of octets", () => {
    for (let length = 0; length < 40; length++) {
      expect(isKey(Buffer.alloc(length, 0xa5).toString("base64")), `${length} octets`).toBe(length === 16);
    }
  });

  test.each([
    undefined,
    "",
    "dGhlIHNhbXBsZSBub25jZQ",
    "dGhlIHNhbXBsZSBub25jZQ=",
    "dGhlIHNhbXBsZSBub25jZQ===",
    " dGhlIHNhbXBsZSBub25jZQ==",
    "dGhlIHNhbXBsZSBub25jZQ==\n",
    "dGhlIHNhbXBsZSBub25jZR==", // bits that are not zero before the padding
    "dGhlIHNhbXBsZSBub25j-Q==",
    "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", // sent twice
  ])("is false of %j", (key) => {
    expect(isKey(key)).toBe(false);
  });
});

describe("offeredSubprotocols", () => {
  test.each<[string | undefined, string[] | undefined]>([
    [undefined, []],
    ["", []],
    ["chat", ["chat"]],
    ["chat, superchat", ["chat", "superchat"]],
    ["b,a,\tc ,, d", ["b", "a", "c", "d"]],
    ["v1.chat+json", ["v1.chat+json"]],
    ["Chat, chat", ["Chat", "chat"]],
    ["chat, chat", undefined],
    ["chat room", undefined],
    ["chat;q=1", undefined],
    ['"chat"', undefined],
    ["chät", undefined],
    ["a, b/c", undefined],
  ])("of %j are %j", (header, offered) => {
    expect(offeredSubprotocols(header)).toEqual(offered);
  });
});
