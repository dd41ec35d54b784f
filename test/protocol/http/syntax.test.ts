import { describe, expect, test } from "vitest";
import { isFieldValue, isToken, listHas, listOf } from "../../../src/protocol/http/syntax.ts";

/** RFC 9110 §5.6.2. */
const TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

describe("isToken", () => {
  test("takes each of the RFC's characters and no other", () => {
    const taken = Array.from({ length: 0x180 }, (_, code) => String.fromCharCode(code)).filter(isToken);
    expect(taken.sort()).toEqual([...TCHAR].sort());
    expect(isToken(TCHAR)).toBe(true);
  });

  test.each(["", "a b", "a\n", "\na", "a,b"])("is false of %j", (value) => {
    expect(isToken(value)).toBe(false);
  });
});

describe("isFieldValue", () => {
  test("takes tabs, spaces, visible characters and octets above 0x7f, and nothing else", () => {
    for (let code = 0; code < 0x180; code++) {
      const expected = code === 0x09 || (code >= 0x20 && code !== 0x7f && code <= 0xff);
      expect(isFieldValue(`a${String.fromCharCode(code)}b`), `character ${code}`).toBe(expected);
    }
    expect(isFieldValue("")).toBe(true);
    expect(isFieldValue("x\r\nSet-Cookie: a=b")).toBe(false);
  });
});

describe("listOf", () => {
  test.each<[string | undefined, string[]]>([
    [undefined, []],
    ["", []],
    [" , ,", []],
    ["a", ["a"]],
    ["a,b", ["a", "b"]],
    [" a ,\tb\t, , c", ["a", "b", "c"]],
    ["A,a", ["A", "a"]],
    ["\u00a0a,b\n", ["\u00a0a", "b\n"]],
  ])("of %j is %j", (value, list) => {
    expect(listOf(value)).toEqual(list);
  });

  test("takes time in proportion to the header, whatever is in it", () => {
    const nasty = `${" \t".repeat(200_000)}a${" \t".repeat(200_000)},`.repeat(5);
    expect(listOf(nasty)).toEqual(["a", "a", "a", "a", "a"]);
  }, 2_000);
});

describe("listHas", () => {
  test.each<[string | undefined, boolean]>([
    ["websocket", true],
    ["WebSocket", true],
    ["h2c, WEBSOCKET", true],
    [" websocket ", true],
    [undefined, false],
    ["", false],
    ["websockets", false],
    ["web socket", false],
    ["websocket/13", false],
  ])("of %j is %j", (value, expected) => {
    expect(listHas(value, "websocket")).toBe(expected);
  });
});
