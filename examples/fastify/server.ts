/** Fastify: the upgrade is a route of a plugin, behind its hooks. With `http2: true` it is the same. */
import fastify from "fastify";
import { upgrade } from "websock-js";
import { attach } from "websock-js/node";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

const app = fastify({ forceCloseConnections: true });

const sockets = attach(app.server);

await app.register(
  async (rooms) => {
    rooms.decorateRequest("user", "");
    rooms.addHook("onRequest", async (request, reply) => {
      const user = userOf(request.headers.cookie);
      if (user === undefined) return reply.code(401).send({ error: "who are you?" });
      request.setDecorator("user", user);
    });

    rooms.get<{ Params: { room: string } }>("/:room", (request) =>
      upgrade(request, Greeter, { user: request.getDecorator<string>("user"), room: request.params.room }),
    );
  },
  { prefix: "/rooms" },
);

app.addHook("preClose", () => sockets.drain());

const url = await app.listen({ port: Number(process.env.PORT ?? 4000) });
console.log(`${url}/rooms/lobby`);

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void app.close());
