/** The table of docs/options.md has every option, with its default. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { DEFAULT_OPTIONS, type ResolvedOptions } from "../../src/options.ts";
import { root } from "../support/documentation.ts";

const rows = [...readFileSync(join(root, "docs/options.md"), "utf8").matchAll(/^\| (`\w+`.*?) \| (.*?) \|/gm)];
const documented = new Map(
  rows.flatMap(([, names, value]) => [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => [name, value])),
);

/** A number of the table: `60 000 ms`, `16 MiB`, `Infinity` in code. */
const numberIn = (text: string): number =>
  Number(text.replaceAll(/[ `]|ms|MiB/g, "")) * (text.endsWith("MiB") ? 1024 * 1024 : 1);

test("it has every option", () => {
  expect([...documented.keys()].sort()).toEqual(Object.keys(DEFAULT_OPTIONS).sort());
});

test.each(Object.entries(DEFAULT_OPTIONS).filter(([, value]) => ["number", "boolean"].includes(typeof value)))(
  "the default of %s",
  (name, value) => {
    const text = documented.get(name as keyof ResolvedOptions) ?? "";
    if (typeof value === "boolean") expect(text).toBe(`\`${value}\``);
    else expect(numberIn(text)).toBe(value);
  },
);
