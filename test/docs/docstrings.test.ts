/** Every name that an entry of the package exports has a docstring directly above its declaration. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dist = `${root}dist/`;

const DECLARED = /^export (?:declare )?(?:abstract )?(?:class|const|function|interface|type) (\w+)/gm;
const EXPORTED = /^export (?:type )?\{([^}]*)\}(?: from "([^"]+)")?;/gm;
const NAMESPACE = /^export \* as (\w+) from "([^"]+)";/gm;
const IMPORTED = /^import (?:type )?\{([^}]*)\} from "([^"]+)";/gm;

interface Declaration {
  readonly file: string;
  /** Where its line begins. */
  readonly at: number;
}

const sourceOf = (file: string): string => readFileSync(file, "utf8");
const fileOf = (from: string, file: string): string => resolve(dirname(file), from.replace(/\.[jt]s$/, ".d.ts"));

/** The names in the braces of an `import` or `export`: inside, and as they are named outside. */
const namesIn = (list: string): (readonly [own: string, other: string])[] =>
  list
    .split(",")
    .map((item) => item.trim().replace(/^type /, ""))
    .filter((item) => item !== "")
    .map((item) => {
      const [own, other = own] = item.split(" as ");
      return [own!, other!];
    });

/** Where the name that `file` declares, imports or exports is declared. */
const declarationOf = (file: string, name: string): Declaration => {
  const source = sourceOf(file);
  const at = source.search(
    new RegExp(`^(?:export )?(?:declare )?(?:class|const|function|interface|type) ${name}\\b`, "m"),
  );
  if (at !== -1) return { file, at };
  for (const [, list, from] of [...source.matchAll(EXPORTED), ...source.matchAll(IMPORTED)]) {
    const found = namesIn(list!).find((pair) => pair.includes(name));
    if (found !== undefined && from !== undefined) return declarationOf(fileOf(from, file), found[0]);
  }
  throw new Error(`${file} has no ${name}`);
};

/** Every exported name, those of namespaces included, with the declaration that it must be documented at. */
const exportsOf = (file: string, prefix = ""): (readonly [name: string, Declaration])[] => {
  const source = sourceOf(file);
  return [
    ...[...source.matchAll(DECLARED)].map(({ 1: name, index }) => [prefix + name, { file, at: index }] as const),
    ...[...source.matchAll(EXPORTED)].flatMap(([, list]) =>
      namesIn(list!).map(([own, name]) => [prefix + name, declarationOf(file, own)] as const),
    ),
    ...[...source.matchAll(NAMESPACE)].flatMap(({ 1: name, 2: from, index }) => [
      [prefix + name, { file, at: index }] as const,
      ...exportsOf(fileOf(from!, file), `${prefix}${name}.`),
    ]),
  ];
};

const isDocumented = ({ file, at }: Declaration): boolean => sourceOf(file).slice(0, at).endsWith("*/\n");

test.each([
  ["dist/index.d.ts", "upgrade"],
  ["dist/adapters/node.d.ts", "attach"],
  ["dist/adapters/ws.d.ts", "hosting"],
  ["dist/adapters/bun.d.ts", "attach"],
  ["dist/adapters/deno.d.ts", "attach"],
  ["dist/adapters/cloudflare.d.ts", "attach"],
  ["dist/pubsub/index.d.ts", "PubSub"],
  ["dist/channels/index.d.ts", "channels"],
  ["dist/isolate/index.d.ts", "isolate"],
  ["dist/testing/index.d.ts", "connectRoute"],
  ["packages/websock-conformance/dist/handlers/index.d.ts", "casesFor"],
])("%s", (entry, known) => {
  const names = exportsOf(root + entry);
  expect(names.map(([name]) => name)).toContain(known);
  expect(names.filter(([, declaration]) => !isDocumented(declaration)).map(([name]) => name)).toEqual([]);
});

test("every adapter exports upgrade, UpgradeError and the types of its attach", () => {
  for (const host of ["node", "ws", "bun", "deno", "cloudflare"]) {
    const names = exportsOf(`${dist}adapters/${host}.d.ts`).map(([name]) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        "attach",
        "AttachOptions",
        "Attachment",
        "capabilities",
        "DrainOptions",
        "upgrade",
        "UpgradeError",
      ]),
    );
  }
});
