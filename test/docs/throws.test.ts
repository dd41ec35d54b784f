/**
 * The docstring of everything that an entry of the package exports says with `@throws` which classes of errors it
 * throws, or rejects with, and no others. `test/support/throws.ts` finds them in the code.
 */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import ts from "../../packages/reference/node_modules/typescript/lib/typescript.js";
import { Throws, UNKNOWN } from "../support/throws.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What the application implements, or the host calls: a docstring says there what happens if it throws. */
const CALLBACKS = /^(WebSock|Channel|Codec|OutMessage|Backplane|BackplaneConnection|BunWebSocketHandlers)$/;

/**
 * Classes and interfaces whose members are taken not to throw. Their checks cannot fail: the messages of the
 * application were checked when it passed them on, and timers only send what the library has made. (The exception,
 * `Transport.keepTopics`, is a TypeError of `Topic.subscribe`, which has others.)
 */
const TRUSTED = ["Transport", "Outbox", "Delivery", "ByteWriter", "Timed"];

/** Errors that the analysis cannot see. */
const UNSEEN: Readonly<Record<string, readonly string[]>> = {
  // Made with `Object.defineProperties`.
  host: ["TypeError", "Error"],
  "Hosting.host": ["TypeError", "Error"],
  // Of the function that encodes messages, which `typed` passes.
  "TypedSelf.push": ["InvalidMessage"],
  "TypedSelf.stop": ["InvalidMessage"],
  // Of functions of the application.
  "Channels.connect": [UNKNOWN],
  connectRoute: [UNKNOWN],
};

/** Errors that the analysis sees, although they cannot happen. */
const IMPOSSIBLE: Readonly<Record<string, readonly string[]>> = {
  // `subscribe` has checked `self`.
  "Subscription.cancel": ["TypeError"],
  // Strings and bytes of any length may be sent.
  "TypedSelf.push": ["RangeError"],
};

const { config } = ts.readConfigFile(`${root}tsconfig.build.json`, ts.sys.readFile);
const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
const program = ts.createProgram(fileNames, options);
const checker = program.getTypeChecker();
const throws = new Throws(program, TRUSTED);

interface Documented {
  readonly name: string;
  /** The texts of its `@throws`. */
  readonly tags: readonly string[];
  /** The functions that run when it is called or read. */
  readonly functions: readonly ts.Node[];
}

const tagsOf = (tags: readonly ts.JSDocTagInfo[]): readonly string[] =>
  tags.filter(({ name }) => name === "throws").map(({ text }) => ts.displayPartsToString(text));

const isPublic = (member: ts.Symbol): boolean => {
  const declaration = member.declarations?.[0];
  return (
    declaration !== undefined &&
    !/^(#|__#|prototype$)/.test(member.name) &&
    (ts.getCombinedModifierFlags(declaration) & ts.ModifierFlags.Private) === 0 &&
    !member.getJsDocTags(checker).some(({ name }) => name === "internal")
  );
};

/** An export and its members; of a class also the constructor. */
function* documented(symbol: ts.Symbol): Generator<Documented> {
  const { name } = symbol;
  const [declaration] = symbol.declarations ?? [];
  if (declaration === undefined || CALLBACKS.test(name)) return;
  if (ts.isSourceFile(declaration)) {
    for (const its of checker.getExportsOfModule(symbol)) yield* documented(throws.unalias(its));
  } else if (ts.isClassDeclaration(declaration) || ts.isInterfaceDeclaration(declaration)) {
    if (ts.isClassDeclaration(declaration)) {
      const [signature] = checker.getTypeOfSymbol(symbol).getConstructSignatures();
      yield { name: `new ${name}`, tags: tagsOf(signature?.getJsDocTags() ?? []), functions: [declaration] };
    }
    for (const member of [...(symbol.members?.values() ?? []), ...(symbol.exports?.values() ?? [])])
      if (isPublic(member) && member.name !== "__constructor")
        yield {
          name: `${name}.${member.name}`,
          tags: tagsOf(member.getJsDocTags(checker)),
          functions: throws.functionsOf(member),
        };
  } else yield { name, tags: tagsOf(symbol.getJsDocTags(checker)), functions: throws.functionsOf(symbol) };
}

const entries = Object.values<string | { readonly types: string }>(
  JSON.parse(ts.sys.readFile(`${root}package.json`)!).exports,
).flatMap((target) =>
  typeof target === "string" ? [] : [target.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, "src/$1.ts")],
);

/** The classes of errors that the text of a `@throws` names. */
const namesIn = (tag: string): readonly string[] => {
  const names = tag.match(/\b(\w*Error|InvalidMessage)\b/g) ?? [];
  return names.length === 0 ? [UNKNOWN] : names;
};

/** The functions from an export to the one that throws the error. */
const pathOf = (functions: readonly ts.Node[], error: string): string => {
  const path = functions.map((its) => throws.pathOf(its, error)).find(({ length }) => length > 0) ?? [];
  return path
    .map((node) => {
      const file = node.getSourceFile();
      const { line } = file.getLineAndCharacterOfPosition(node.getStart());
      return `${file.fileName.replace(root, "")}:${line + 1}`;
    })
    .join(" > ");
};

function* mistakesIn({ name, tags, functions }: Documented): Generator<string> {
  const named = new Set(tags.flatMap(namesIn));
  const impossible = IMPOSSIBLE[name] ?? [];
  const seen = new Set(functions.flatMap((its) => [...throws.of(its)]));
  const unseen = UNSEEN[name] ?? [];
  const thrown = new Set([...[...seen].filter((its) => !impossible.includes(its)), ...unseen]);
  for (const error of thrown)
    if (error !== UNKNOWN && !named.has(error))
      yield `${name} throws ${error} without "@throws ${error}": ${pathOf(functions, error)}`;
  for (const error of named) if (!thrown.has(error)) yield `${name} has "@throws ${error}", but does not throw it`;
  for (const error of impossible) if (!seen.has(error)) yield `${name}: ${error} in IMPOSSIBLE is not needed`;
  for (const error of unseen) if (seen.has(error)) yield `${name}: ${error} in UNSEEN is not needed`;
}

const documentedIn = (entry: string): readonly Documented[] => [
  ...documented(checker.getSymbolAtLocation(program.getSourceFile(root + entry)!)!),
];

test.each(entries)("%s", (entry) => {
  const all = documentedIn(entry);
  expect(all.length).toBeGreaterThan(0);
  expect(all.flatMap((its) => [...mistakesIn(its)])).toEqual([]);
});

test("every exception belongs to an export", () => {
  const names = entries.flatMap(documentedIn).map(({ name }) => name);
  expect(names).toEqual(expect.arrayContaining([...Object.keys(UNSEEN), ...Object.keys(IMPOSSIBLE)]));
});
