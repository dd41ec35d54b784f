/** Bun: `attach` takes the options of `Bun.serve`, and returns them with WebSockets. */
import { upgrade } from "websock-js";
import { attach } from "websock-js/bun";
import * as Greeter from "../greeter.ts";
import { userOf } from "../user.ts";

const app = attach({
  port: Number(process.env.PORT ?? 4000),
  routes: {
    "/rooms/:room": (request: Request & { readonly params: { readonly room: string } }) => {
      const user = userOf(request.headers.get("cookie"));
      if (user === undefined) return Response.json({ error: "who are you?" }, { status: 401 });
      return upgrade(request, Greeter, { user, room: request.params.room });
    },
  },
  fetch: () => new Response("there is no such page\n", { status: 404 }),
});

const server = Bun.serve(app);
console.log(new URL("/rooms/lobby", server.url).href);

process.once("SIGTERM", () => void app.sockets.drain().then(() => server.stop(true)));
