/** Tests of paths for reports and connections. */
import { expect, test } from "vitest";
import { pathOf, sharedPathOf } from "../../../src/adapters/shared/request-path.ts";

test.each([
  ["/", "/"],
  ["/chat/lobby?token=secret", "/chat/lobby"],
  ["/chat?a?b#c", "/chat"],
  ["/chat#x?y", "/chat"],
  ["?x", ""],
  ["", ""],
  ["//", "//"],
  ["*", "*"],
  [`/${"x".repeat(255)}`, `/${"x".repeat(255)}`],
  [`/${"x".repeat(256)}`, `/${"x".repeat(255)}…`],
])("the path of %j", (url, path) => {
  expect(pathOf(url)).toBe(path);
  expect(sharedPathOf(url)).toBe(path);
});

test("20 000 connections with the same path and long queries share one short string", () => {
  const kept = Array.from<string>({ length: 20_000 });
  const query = "x".repeat(10_000);
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < kept.length; i++) kept[i] = sharedPathOf(`/socket-${before}?${i}${query}`);
  globalThis.gc?.();
  // A slice would retain its whole request target: 200 MB in total.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000);
  expect(new Set(kept).size).toBe(1);
});

test("the cache of paths is limited", () => {
  for (let i = 0; i < 10_000; i++) expect(sharedPathOf(`/room/${i}`)).toBe(`/room/${i}`);
});
