/** The control for HTTP/2: a stream of Node that returns the bytes it receives. */
import http2 from "node:http2";
import { serve } from "../lib/serve.mjs";

const server = http2.createServer({ settings: { enableConnectProtocol: true } });
server.on("stream", (stream) => {
  stream.respond({ ":status": 200 });
  stream.on("data", (chunk) => stream.write(chunk));
  stream.on("error", () => stream.destroy());
});
serve(server);
