/**
 * Every name that an entry of the packages exports has a docstring directly above its declaration. In the API reference
 * (of `websock-js`), also members, parameters, defaults and examples are described.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { type Comment, KIND, type Reflection, reference, summaryOf, textOf } from "../support/reference.ts";

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
  ["dist/pubsub/backplanes/redis.d.ts", "redisBackplane"],
  ["dist/pubsub/backplanes/nats.d.ts", "natsBackplane"],
  ["dist/pubsub/backplanes/cluster.d.ts", "clusterBackplane"],
  ["dist/pubsub/backplanes/threads.d.ts", "threadsBackplane"],
  ["dist/channels/index.d.ts", "channels"],
  ["dist/typed/index.d.ts", "typed"],
  ["dist/opentelemetry/index.d.ts", "instrument"],
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

/** What others define, of whom only the parts that are used are declared, and `ChannelFor`, a `Channel` of any types. */
const FOREIGN = new Set([
  ...["BunServeOptions", "BunWebSocketHandlers", "DenoServeInfo", "DurableObjectContext", "WsServer", "WsSocket"],
  ...["IORedisClient", "NodeRedisClient", "NatsConnection", "NatsOptions", "NatsStatus", "NatsSubscription"],
  ...["StandardSchema", "ChannelFor"],
]);

/** What the user implements: the text of a callback says what it receives. */
const CALLBACKS = /^(WebSock|Channel|Codec|DenoHandler|Backplane\w*|Typed\w*|\w*Options)$/;

/** The signatures of a function, of a method, or of a property that is a function. */
const signaturesOf = ({ signatures, type }: Reflection): readonly Reflection[] =>
  signatures ?? type?.declaration?.signatures ?? [];

const commentOf = (it: Reflection): Comment | undefined =>
  it.comment ?? it.getSignature?.comment ?? signaturesOf(it).find(({ comment }) => comment !== undefined)?.comment;

/** What the docstring of an export, or of one of its members, does not say. */
function* missingIn(it: Reflection, owner: string, isExport: boolean): Generator<string> {
  const isOwn = it.flags.isExternal !== true && it.inheritedFrom === undefined && it.kind !== KIND.reference;
  // A symbol is a mark in a type that is opaque to users; docs/errors.md describes the codes of errors.
  if (!isOwn || it.name.startsWith("[") || it.name === "code") return;
  const name = `${owner}.${it.name}`;
  const comment = commentOf(it);
  const text = textOf(comment);
  if (it.kind !== KIND.constructor) {
    if (it.overwrites === undefined && summaryOf(comment).split(" ").length < 2) yield `${name}: its meaning`;
    if (isExport && it.kind === KIND.function && !text.includes("```ts\n")) yield `${name}: an example`;
    if (!CALLBACKS.test(isExport ? it.name : owner.split(".").at(-1)!))
      for (const signature of signaturesOf(it))
        for (const parameter of signature.parameters ?? []) {
          const isNamed = new RegExp(`\`[^\`]*\\b${parameter.name}\\b[^\`]*\``).test(text);
          if (!isNamed && summaryOf(parameter.comment) === "" && parameter.name !== "__namedParameters")
            yield `${name}: its parameter ${parameter.name}`;
        }
    if (it.kind === KIND.property && it.flags.isOptional === true && /Options$/.test(owner) && !/[Dd]efault/.test(text))
      yield `${name}: its default`;
  }
  if (!FOREIGN.has(it.name)) for (const child of it.children ?? []) yield* missingIn(child, name, false);
}

describe("the API reference", () => {
  let modules: readonly Reflection[];
  beforeAll(async () => {
    modules = await reference();
  }, 120_000);

  test("has a module for each entry of the package", () => {
    const { exports } = JSON.parse(readFileSync(`${root}package.json`, "utf8"));
    const entries = Object.keys(exports).filter((path) => path !== "./package.json");
    const names = entries.map((path) => path.replace(/^\./, "websock-js")).sort();
    expect(modules.map(({ name }) => name).sort()).toEqual(names);
    for (const { name, children = [] } of modules) expect(children.length, name).toBeGreaterThan(0);
  });

  test("describes each export, its members, parameters and defaults, and has an example for each function", () => {
    const missing = modules.flatMap(({ name, children = [] }) =>
      children.flatMap((child) => [...missingIn(child, name, true)]),
    );
    expect(missing).toEqual([]);
  });
});
