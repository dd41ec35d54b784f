/** The examples in the docstrings compile, with what their module exports and what an application would define. */
import { expect, test } from "vitest";
import { compileFragments } from "../support/documentation.ts";
import { type Comment, KIND, type Reflection, reference, textOf } from "../support/reference.ts";

/** What the examples take for granted. */
const CONTEXT: Readonly<Record<string, string>> = {
  ...{ state: "any", rows: "AsyncIterable<object>", name: "string", id: "string", info: "any", news: "string" },
  ...{ isBanned: "(self: object) => boolean", log: "(error: unknown) => void", reload: "(info: unknown) => void" },
  ...{ answer: "(message: object) => Promise<string>", render: "(payload: unknown) => Promise<string>" },
  ...{ load: "(topic: string) => Promise<object>", verify: "(token?: string) => Promise<User | undefined>" },
  ...{ requireUser: 'import("express").RequestHandler', app: "any", hono: "any", nest: "any", workerData: "any" },
  ...{ Chat: "WebSock<any, any, any>", Room: "any", user: "User", socket: "any", request: "any" },
  ...{ myBackplane: '() => import("websock-js/pubsub").Backplane', pubsub: 'import("websock-js/pubsub").PubSub' },
  ...{ http: 'typeof import("node:http")', Worker: 'typeof import("node:worker_threads").Worker' },
  ...{ WebSocketServer: 'typeof import("ws").WebSocketServer', webSocketServer: 'import("ws").WebSocketServer' },
  ...{ availableParallelism: "() => number", self: "Self<any>", presence: "any", Echo: "WebSock<string, number>" },
  ...{ client: 'import("websock-js/testing").TestClient', sockets: 'import("websock-js/node").Attachment' },
  ...{ server: 'import("node:http").Server', z: 'typeof import("zod").z', Board: "any", lobby: "any", task: "any" },
};

/** TypeDoc's `ReflectionKind` of what an example can use as a value. */
const VALUES = new Set([32, 64, 128]);

const commentsOf = (it: Reflection): readonly Comment[] => [
  ...(it.comment === undefined ? [] : [it.comment]),
  ...[
    ...(it.children ?? []),
    ...(it.signatures ?? []),
    ...(it.getSignature === undefined ? [] : [it.getSignature]),
  ].flatMap(commentsOf),
  ...(it.type?.declaration === undefined ? [] : commentsOf(it.type.declaration)),
];

/** A whole module, made of an example: properties of a handler become an object, and results those of a function. */
const moduleOf = (code: string): string => {
  if (/^[a-z]\w*: /i.test(code)) return `({\n${code}\n});`;
  return /^return /m.test(code) ? `(async () => {\n${code}\n});` : code;
};

const importOf = (from: string, names: readonly string[]): string => `import { ${names.join(", ")} } from "${from}";\n`;

test("every example in a docstring compiles", async () => {
  const modules = await reference();
  /** What a module exports itself, as an import names it. What it takes over from another one is not among it. */
  const namesOf = (module: string): ReadonlyMap<string, string> =>
    new Map(
      modules
        .find(({ name }) => name === module)!
        .children!.filter(({ kind }) => kind !== KIND.reference)
        .map(({ name, kind }) => [name, VALUES.has(kind) ? name : `type ${name}`]),
    );
  const core = namesOf("websock-js");
  const fragments = new Map<string, string>();
  const seen = new Set<string>();
  for (const module of modules) {
    const own = namesOf(module.name);
    for (const comment of commentsOf(module))
      for (const [, code] of textOf(comment).matchAll(/```ts\n(.*?)```/gs)) {
        if (seen.has(code!)) continue;
        seen.add(code!);
        // What the example itself declares or imports shadows the rest.
        const isFree = (name: string): boolean =>
          !new RegExp(
            `\\b(?:const|class|function|interface) (?:[[{] ?[^=]*)?\\b${name}\\b|import [^;]*\\b${name}\\b`,
          ).test(code!);
        const isCore = (name: string): boolean => isFree(name) && !own.has(name);
        const preamble =
          importOf(
            module.name,
            [...own].flatMap(([name, text]) => (isFree(name) ? text : [])),
          ) +
          (module.name === "websock-js"
            ? ""
            : importOf(
                "websock-js",
                [...core].flatMap(([name, text]) => (isCore(name) ? text : [])),
              )) +
          "interface User { id: string; name: string; rooms: Set<string> }\n" +
          Object.entries(CONTEXT)
            .filter(([name]) => isFree(name) && !own.has(name) && !core.has(name))
            .map(([name, type]) => `declare const ${name}: ${type};\n`)
            .join("");
        fragments.set(`${module.name.replaceAll("/", "-")}-${fragments.size}.ts`, preamble + moduleOf(code!));
      }
  }
  expect(fragments.size).toBeGreaterThan(40);
  // A callback that stands alone has no types of parameters to infer.
  expect(await compileFragments(fragments, "--noImplicitAny", "false")).toBe("");
}, 120_000);
