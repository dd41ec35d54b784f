/** The same programs on `Deno.serve` alone, with default options. */
import { answer, answerJson, chosen } from "../lib/serve.mjs";

/** @type {(socket: WebSocket, data: any) => void} */
const onMessage = chosen({
  echo: (socket, data) => socket.send(data),
  json: (socket, data) => socket.send(answerJson(data)),
});

Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => answer(port) }, (request) => {
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.binaryType = "arraybuffer";
  socket.onmessage = ({ data }) => onMessage(socket, data);
  socket.onerror = () => {}; // the load has disconnected
  return response;
});
