/** A handler on `node:http` of Bun or Deno, with hooks on the response. Argument: the adapter, `node` or `ws`. */
import http from "node:http";
import { push, text, upgrade } from "websock-js";
import { attach } from "websock-js/node";
import { attach as attachWs } from "websock-js/ws";
import { WebSocketServer } from "ws";

const server = http.createServer((request, response) => {
  const seen = [];
  response.on("finish", () => seen.push("finish")).on("close", () => seen.push("close"));
  response.setHeader("X-Middleware", "1");
  upgrade(request, {
    init: () => push(text("open"), 0),
    handleIn: (_message, state) => push(text([seen.join(" "), response.writableFinished].join(" ")), state),
  });
});
if (process.argv.includes("ws")) attachWs(new WebSocketServer({ server }));
else attach(server);
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
