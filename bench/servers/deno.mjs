/** An echo server on `Deno.serve` alone, with default options. */
import { answer } from "../lib/serve.mjs";

Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => answer(port) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onmessage = ({ data }) => socket.send(data);
  socket.onerror = () => {}; // the load generator has disconnected
  return response;
});
