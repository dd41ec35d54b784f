/** Routes, hooks and error handlers for Fastify 4 and 5 that upgrade and end in different ways. */
import { createRequire } from "node:module";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { ok, push, text, upgrade, type WebSock } from "websock-js";

const require = createRequire(import.meta.url);

export const VERSIONS = ["fastify", "fastify4"] as const;

const Greeter: WebSock<string, null> = {
  init: (greeting) => push(text(greeting), null),
  handleIn: () => ok(null),
};

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown;

/** Each of these opens a WebSocket. */
export const OPENING: Record<string, Handler> = {
  "returns nothing": (request) => {
    upgrade(request, Greeter, "hello");
  },
  "has the reply and returns nothing": (_request, reply) => {
    upgrade(reply, Greeter, "hello");
  },
  "returns the result": (request) => upgrade(request, Greeter, "hello"),
  "returns a promise": async (request) => upgrade(request, Greeter, "hello"),
  "returns a promise, and sets a header later": async (request, reply) => {
    upgrade(request, Greeter, "hello");
    await later();
    reply.header("x-route", "1");
  },
  "returns the reply": (request, reply) => {
    upgrade(request, Greeter, "hello");
    return reply;
  },
  "returns the reply in a promise": async (request, reply) => {
    upgrade(request, Greeter, "hello");
    return reply;
  },
  "has the reply and returns it in a promise": async (_request, reply) => {
    upgrade(reply, Greeter, "hello");
    return reply;
  },
  "awaits the reply": async (request, reply) => {
    upgrade(request, Greeter, "hello");
    await reply;
  },
  // Nest with `@Res()`: https://github.com/nestjs/nest, router-execution-context.ts
  "awaits a function that returns the reply": async (request, reply) => {
    const handle = async (): Promise<FastifyReply> => {
      await (async () => upgrade(request, Greeter, "hello"))();
      return reply;
    };
    await handle();
  },
  "upgrades in a callback, and returns nothing": (request, reply) => {
    setImmediate(() => {
      upgrade(request, Greeter, "hello");
      reply.header("x-route", "1");
    });
  },
  "upgrades in a callback, and returns the reply": (request, reply) => {
    setImmediate(() => upgrade(request, Greeter, "hello"));
    return reply;
  },
  "upgrades in a callback, and returns the reply in a promise": async (request, reply) => {
    setImmediate(() => upgrade(request, Greeter, "hello"));
    return reply;
  },
  "sends nothing": (request, reply) => {
    upgrade(request, Greeter, "hello");
    reply.send();
  },
  "sends something": (request, reply) => {
    upgrade(request, Greeter, "hello");
    reply.code(201).send({ a: 1 });
  },
  "sends something in a promise": async (request, reply) => {
    upgrade(request, Greeter, "hello");
    return reply.send({ a: 1 });
  },
  "returns something": async (request) => {
    upgrade(request, Greeter, "hello");
    return { a: 1 };
  },
  "sends later": (request, reply) => {
    upgrade(request, Greeter, "hello");
    setImmediate(() => reply.send());
    return later();
  },
};

/** Each of these opens a WebSocket without Fastify's response and the headers of its reply. */
export const HIJACKING: Record<string, Handler> = {
  "hijacks first": (request, reply) => {
    reply.hijack();
    upgrade(request, Greeter, "hello");
  },
  "hijacks first, and returns the reply in a promise": async (request, reply) => {
    reply.hijack();
    upgrade(request, Greeter, "hello");
    return reply;
  },
  "hijacks first, and upgrades in a callback": (request, reply) => {
    reply.hijack();
    setImmediate(() => upgrade(request, Greeter, "hello"));
  },
  "hijacks afterwards": (request, reply) => {
    upgrade(request, Greeter, "hello");
    reply.hijack();
  },
  "hijacks afterwards, in a promise": async (request, reply) => {
    upgrade(request, Greeter, "hello");
    await later();
    reply.hijack();
  },
};

/** Each of these is answered with this status instead of an upgrade. */
export const CANCELLING: Record<string, readonly [status: number, Handler]> = {
  throws: [
    500,
    (request) => {
      upgrade(request, Greeter, "never");
      throw new Error("after all");
    },
  ],
  "rejects later": [
    500,
    async (request) => {
      upgrade(request, Greeter, "never");
      await later();
      throw new Error("after all");
    },
  ],
  "sends another status": [
    403,
    (request, reply) => {
      upgrade(request, Greeter, "never");
      reply.code(403).send("no");
    },
  ],
  "sends an error": [
    418,
    (request, reply) => {
      upgrade(request, Greeter, "never");
      reply.send(Object.assign(new Error("no"), { statusCode: 418 }));
    },
  ],
};

const upgrading = (request: FastifyRequest): void => void upgrade(request, Greeter, "hello");
const never: Handler = () => {
  throw new Error("the hook has upgraded");
};

type Hook = (request: FastifyRequest, reply: FastifyReply, done: () => void) => unknown;

/** Hooks that upgrade. */
export const HOOKS: Record<string, readonly [Hook, Handler]> = {
  "a hook that goes on to a route that returns nothing": [
    (request, _reply, done) => {
      upgrading(request);
      done();
    },
    () => undefined,
  ],
  "a hook that goes on to a route that returns a promise": [
    async (request: FastifyRequest) => upgrading(request),
    later,
  ],
  "a hook that returns the reply in a promise": [
    async (request: FastifyRequest, reply: FastifyReply) => {
      upgrading(request);
      return reply;
    },
    never,
  ],
  "a hook that sends": [
    (request, reply, _done) => {
      upgrading(request);
      reply.send();
    },
    never,
  ],
};

const pathOf = (name: string): string => `/${name.replaceAll(/\W+/g, "-")}`;

/** Adds all of these to an app, with async hooks that set headers. */
export const createApp = (version: (typeof VERSIONS)[number], http2 = false): FastifyInstance => {
  const app = require(version)({ http2 }) as FastifyInstance;
  app.addHook("onRequest", async (_request, reply) => {
    await later();
    reply.header("x-before", "1").header("set-cookie", ["a=1", "b=2"]);
  });
  app.addHook("onSend", async (_request, reply, payload) => {
    await later();
    reply.header("x-after", "1");
    return payload;
  });
  for (const [name, handler] of Object.entries({ ...OPENING, ...HIJACKING })) app.get(pathOf(name), handler as never);
  for (const [name, [, handler]] of Object.entries(CANCELLING)) app.get(pathOf(name), handler as never);
  for (const [name, [hook, handler]] of Object.entries(HOOKS)) {
    for (const stage of ["onRequest", "preHandler"] as const) {
      app.get(pathOf(`${stage}: ${name}`), { [stage]: hook }, handler as never);
    }
  }
  app.register(
    async (scope) => {
      scope.setNotFoundHandler((request) => upgrading(request));
    },
    { prefix: "/missing" },
  );
  return app;
};

export { pathOf };
