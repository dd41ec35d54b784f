/** Prints the store that callbacks see on Bun, for each context in which a server is started and a request upgraded. */
import { AsyncLocalStorage } from "node:async_hooks";
import { ok, push, text, upgrade } from "websock-js";
import { attach } from "websock-js/bun";

const storage = new AsyncLocalStorage();
const store = () => String(storage.getStore());

/** Answers each message with the store that it sees; "enter" sets another one. */
const Handler = {
  init: () => push(text(`init ${store()}`), 0),
  handleIn: ({ data }, state) => {
    const seen = store();
    if (data === "enter") storage.enterWith("entered");
    return push(text(`${data} ${seen}`), state);
  },
  handleInfo: (_info, state) => ok(state),
};

const options = () =>
  attach({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => {
      const upgraded = () => upgrade(request, Handler);
      return new URL(request.url).pathname === "/store" ? storage.run("request", upgraded) : upgraded();
    },
  });

const start = {
  "without a store": () => Bun.serve(options()),
  "with a store": () => storage.run("server", () => Bun.serve(options())),
  "reloaded with a store": () => {
    const server = Bun.serve(options());
    storage.run("server", () => server.reload(options()));
    return server;
  },
};

const result = {};
for (const [how, serve] of Object.entries(start)) {
  const server = serve();
  for (const path of ["/", "/store"]) {
    const seen = [];
    const socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`);
    await new Promise((resolve) => {
      socket.onmessage = ({ data }) => {
        seen.push(data);
        if (seen.length === 4) resolve();
        else socket.send(["first", "enter", "last"][seen.length - 1]);
      };
    });
    socket.close();
    result[`${how}, ${path}`] = seen;
  }
  server.stop(true);
}
console.log(JSON.stringify(result));
