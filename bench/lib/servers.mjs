/**
 * The servers that are measured.
 *
 * @typedef {object} ServerRow
 * @property {string} script in `bench/servers`
 * @property {readonly string[]} [args]
 * @property {Protocol} protocol how it is reached
 * @property {Runtime} [runtime] what it runs in; default: the Node that `--node` names
 *
 * @typedef {"websocket" | "raw" | "http2" | "raw-http2" | "tls" | "raw-tls" | "socket.io"} Protocol `raw`: the server
 * does not know WebSockets, and returns the bytes that it receives
 * @typedef {"bun" | "deno" | "uws" | "node-20" | "node-22" | "node-24" | "node-26"} Runtime
 */

/**
 * @param {string} host
 * @param {Partial<ServerRow>} [more]
 * @returns {ServerRow}
 */
const ours = (host, more) => ({ script: "websock.mjs", args: [`--host=${host}`], protocol: "websocket", ...more });

/** @type {Readonly<Record<string, ServerRow>>} */
export const SERVERS = {
  websock: ours("http1"),
  "websock-node20": ours("http1", { runtime: "node-20" }),
  "websock-node24": ours("http1", { runtime: "node-24" }),
  "websock-node26": ours("http1", { runtime: "node-26" }),
  "websock-http2": ours("http2", { protocol: "http2" }),
  "websock-tls": ours("tls", { protocol: "tls" }),
  "websock-express": ours("express"),
  "websock-als": ours("als"),
  "websock-ws": ours("ws"),
  "websock-bun": ours("bun", { runtime: "bun" }),
  "websock-deno": ours("deno", { runtime: "deno" }),
  "websock-observed": ours("http1", { args: ["--telemetry=channels"] }),
  "websock-opentelemetry": ours("http1", { args: ["--telemetry=opentelemetry"] }),
  "websock-channels": ours("channels"),
  "websock-loop": ours("http1", { args: ["--chat=loop"] }),
  "websock-self-send": ours("http1", { args: ["--infos=loop"] }),
  net: { script: "net.mjs", protocol: "raw" },
  "net-tls": { script: "net.mjs", args: ["--host=tls"], protocol: "raw-tls" },
  http2: { script: "http2.mjs", protocol: "raw-http2" },
  "bare-101": { script: "bare-101.mjs", protocol: "websocket" },
  "bare-101-express": { script: "bare-101.mjs", args: ["--host=express"], protocol: "websocket" },
  ws: { script: "ws.mjs", protocol: "websocket" },
  "ws-tls": { script: "ws.mjs", args: ["--host=tls"], protocol: "tls" },
  "ws-express": { script: "ws.mjs", args: ["--host=express"], protocol: "websocket" },
  crossws: { script: "crossws.mjs", protocol: "websocket" },
  "crossws-bun": { script: "crossws.mjs", args: ["--host=bun"], protocol: "websocket", runtime: "bun" },
  "crossws-deno": { script: "crossws.mjs", args: ["--host=deno"], protocol: "websocket", runtime: "deno" },
  bun: { script: "bun.mjs", protocol: "websocket", runtime: "bun" },
  deno: { script: "deno.mjs", protocol: "websocket", runtime: "deno" },
  uws: { script: "uws.mjs", protocol: "websocket", runtime: "uws" },
  fastify: { script: "fastify.mjs", protocol: "websocket" },
  "socket.io": { script: "socketio.mjs", protocol: "socket.io" },
};
