/** The same programs on crossws. `--host`: `node`, `bun` or `deno`. */
import { answer, argument, chosen, serve, wsDeflate } from "../lib/serve.mjs";

/** @type {Partial<import("crossws").Hooks>} */
const hooks = chosen({
  // Text arrives as a string, and is sent as text.
  echo: { message: (peer, message) => void peer.send(message.rawData) },
  // `publish` never includes the sender, who is sent the message separately.
  chat: {
    open: (peer) => peer.subscribe("room"),
    message: (peer, message) => {
      const text = message.text();
      peer.publish("room", text);
      peer.send(text);
    },
  },
  "chat-except": {
    open: (peer) => peer.subscribe("room"),
    message: (peer, message) => peer.publish("room", message.text()),
  },
});

/** @type {Record<string, () => Promise<unknown>>} */
const hosts = {
  node: async () => {
    const { createServer } = await import("node:http");
    const { default: crossws } = await import("crossws/adapters/node");
    const { handleUpgrade } = crossws({ serverOptions: { perMessageDeflate: wsDeflate }, hooks });
    const server = createServer();
    server.on("upgrade", handleUpgrade);
    serve(server);
  },
  bun: async () => {
    const { default: crossws } = await import("crossws/adapters/bun");
    const { websocket, handleUpgrade } = crossws({ hooks });
    const fetch = (/** @type {Request} */ request, /** @type {any} */ server) => handleUpgrade(request, server);
    answer(Bun.serve({ hostname: "127.0.0.1", port: 0, websocket, fetch }).port);
  },
  deno: async () => {
    const { default: crossws } = await import("crossws/adapters/deno");
    const { handleUpgrade } = crossws({ hooks });
    Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: ({ port }) => answer(port) }, handleUpgrade);
  },
};

await hosts[argument("host") ?? "node"]?.();
