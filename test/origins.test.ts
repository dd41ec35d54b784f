import { describe, expect, test } from "vitest";
import { resolveOptions } from "../src/options.ts";
import { originProblem } from "../src/origins.ts";

describe("an entry of origins", () => {
  test.each([
    "https://a.example",
    "http://a.example:8080",
    "https://a.example:80",
    "HTTPS://A.Example", // origins are compared without regard to case
    "http://localhost:3000",
    "http://127.0.0.1:3000",
    "http://[::1]:3000",
    "https://xn--bcher-kva.example",
    "https://a_b.example",
    "chrome-extension://mhjfbmdgcfjbbpaeojofohoefgiehjai",
    "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    "capacitor://localhost",
    "tauri://localhost",
    "null",
    /^https:\/\/a\.example$/,
    /anything/gy,
  ])("may be %s", (entry) => {
    expect(originProblem(entry)).toBeUndefined();
  });

  test.each<[unknown, cure: string]>([
    ["*", 'use origins: "*"'],
    ["https://a.example/", 'browsers send "https://a.example"'],
    ["https://a.example/chat", 'browsers send "https://a.example"'],
    ["https://a.example?x", 'browsers send "https://a.example"'],
    ["https://a.example#x", 'browsers send "https://a.example"'],
    ["https://a.example:443", 'browsers send "https://a.example"'],
    ["http://a.example:80", 'browsers send "http://a.example"'],
    ["http://a.example:080", 'browsers send "http://a.example"'],
    ["https://a.example:", 'browsers send "https://a.example"'],
    ["https://user@a.example", 'browsers send "https://a.example"'],
    ["https://bücher.example", 'browsers send "https://xn--bcher-kva.example"'],
    ["http://[0:0:0:0:0:0:0:1]", 'browsers send "http://[::1]"'],
    ["http://127.1", 'browsers send "http://127.0.0.1"'],
    [" https://a.example", 'browsers send "https://a.example"'],
    ["https://a.example\n", 'browsers send "https://a.example"'],
    ["https:a.example", "scheme://host"],
    ["a.example", 'browsers send "https://a.example"'],
    ["localhost:3000", 'browsers send "https://localhost:3000"'],
    ["//a.example", 'browsers send "https://a.example"'],
    ["wss://a.example", 'browsers send "https://a.example"'],
    ["ws://a.example:8080", 'browsers send "http://a.example:8080"'],
    ["chrome-extension://abc/", 'browsers send "chrome-extension://abc"'],
    ["https://*.example", "/^https:\\/\\/[\\w-]+\\.example$/i"],
    ["*.example", "RegExp"],
    ["", "scheme://host"],
    ["https://", "scheme://host"],
    ["file://", "scheme://host"],
    ["https://a.example:99999", "scheme://host"],
    ["https://a b.example", "scheme://host"],
    [1, "a string or a RegExp"],
    [null, "a string or a RegExp"],
    [new URL("https://a.example"), "a URL is not one: an entry must be a string or a RegExp"],
  ])("may not be %j, and the error has the cure", (entry, cure) => {
    const resolve = () => resolveOptions({ origins: ["https://b.example", entry as string] });
    expect(resolve).toThrow(TypeError);
    expect(resolve).toThrow(cure);
  });

  test("the pattern for a wildcard matches its subdomains and nothing else", () => {
    const [, source, flags] = /RegExp such as \/(.*)\/(i)$/.exec(originProblem("https://*.a.example:8080")!)!;
    const pattern = new RegExp(source!, flags);
    expect(originProblem(pattern)).toBeUndefined();
    expect(pattern.test("https://www.a.example:8080")).toBe(true);
    for (const other of [
      "https://a.example:8080",
      "https://xa.example:8080",
      "https://evil/.a.example:8080",
      "https://www.axexample:8080",
      "https://www.a.example:80801",
    ]) {
      expect(pattern.test(other), other).toBe(false);
    }
  });
});
