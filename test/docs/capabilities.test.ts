/** The capability matrix is made from the records: `npm run docs:capabilities` writes it, and here it is checked. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { Ability } from "../../src/capabilities.ts";
import { abilities, allCapabilities } from "./all-capabilities.ts";

const FILE = fileURLToPath(new URL("../../docs/hosts.md", import.meta.url));
const TABLE =
  /(?<=<!-- capabilities: written by `npm run docs:capabilities` -->\n\n).*?(?=\n\n<!-- \/capabilities -->)/s;

const row = (...cells: readonly string[]): string => `| ${cells.join(" | ")} |`;

const table = [
  row("", ...allCapabilities.map(([title]) => title)),
  `|${"---|".repeat(allCapabilities.length + 1)}`,
  ...(Object.keys(abilities) as Ability[]).map((ability) =>
    row(
      `${abilities[ability]} (\`${ability}\`)`,
      ...allCapabilities.map(([, capabilities]) => (capabilities[ability] ? "yes" : "no")),
    ),
  ),
  row(
    "options without effect (`ignores`)",
    ...allCapabilities.map(([, { ignores }]) => ignores.map((name) => `\`${name}\``).join(", ") || "none"),
  ),
].join("\n");

test("the capability matrix in docs/hosts.md is what the adapters say", () => {
  const text = readFileSync(FILE, "utf8");
  expect(text).toMatch(TABLE);
  if (process.env.UPDATE_DOCS !== undefined)
    writeFileSync(
      FILE,
      text.replace(TABLE, () => table),
    );
  expect(TABLE.exec(readFileSync(FILE, "utf8"))?.[0]).toBe(table);
});
