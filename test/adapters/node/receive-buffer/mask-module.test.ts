import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { assembleMask, MODULE_FILE } from "../../../../scripts/assemble-mask.mjs";

test("mask-module.ts is mask.wat, assembled", async () => {
  expect(readFileSync(MODULE_FILE, "utf8")).toBe(await assembleMask());
});
