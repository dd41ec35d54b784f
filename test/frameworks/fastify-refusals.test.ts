/** Tests of upgrades in Fastify that a later hook or the route itself turns into another response. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setImmediate as tick } from "node:timers/promises";
import type { FastifyInstance } from "fastify";
import fastify5 from "fastify";
import fastify4 from "fastify4";
import { afterEach, describe, expect, test } from "vitest";
import { ok, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { WebSocket } from "ws";
import { failOnUncaught } from "../support/uncaught.ts";

failOnUncaught();

const handler = { init: () => ok(0), handleIn: () => ok(0) };

let app: FastifyInstance | undefined;
afterEach(async () => {
  await app?.close();
});

const statusOf = async (made: FastifyInstance): Promise<number | undefined> => {
  app = made;
  attach(made.server, { onError: () => undefined });
  await made.listen({ port: 0, host: "127.0.0.1" });
  const client = new WebSocket(`ws://127.0.0.1:${(made.server.address() as AddressInfo).port}/`);
  const [opened, [, response]] = await Promise.race([
    once(client, "open").then(() => [true, []] as const),
    once(client, "unexpected-response").then((args) => [false, args] as const),
  ]);
  client.on("error", () => undefined).terminate();
  return opened ? 101 : (response as { statusCode: number }).statusCode;
};

describe.each([
  ["fastify 5", () => fastify5()],
  ["fastify 4", () => fastify4() as unknown as FastifyInstance],
])("%s", (_version, create) => {
  test("an async hook after the one that upgrades can refuse the request", async () => {
    const made = create();
    made.get(
      "/",
      {
        preHandler: [
          async (request) => void upgrade(request, handler),
          async () => {
            for (let i = 0; i < 20; i++) await tick();
            throw Object.assign(new Error("who are you?"), { statusCode: 401 });
          },
        ],
      },
      () => expect.unreachable(),
    );
    expect(await statusOf(made)).toBe(401);
  });

  test("a route can answer by the raw response after upgrade", async () => {
    const made = create();
    made.get("/", (request, reply) => {
      upgrade(request, handler);
      reply.raw.writeHead(403).end("no");
    });
    expect(await statusOf(made)).toBe(403);
  });

  test("the not-found handler of a plugin can upgrade", async () => {
    const made = create();
    made.register(async (plugin) => {
      plugin.setNotFoundHandler((request) => {
        upgrade(request, handler);
      });
    });
    expect(await statusOf(made)).toBe(101);
  });
});
