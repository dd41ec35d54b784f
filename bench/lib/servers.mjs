/**
 * The servers that are measured.
 *
 * @typedef {object} ServerRow
 * @property {string} script in `bench/servers`
 * @property {boolean} raw it does not know WebSockets, and returns the bytes that it receives
 * @property {boolean} [http2] it is reached with extended CONNECTs over HTTP/2
 * @property {string} [compressed] the compression that it is offered; it must answer with compressed messages, too
 * @property {readonly string[]} [args]
 * @property {"bun" | "deno"} [runtime] what it runs in; default: Node
 */

/** An offer by which each message is compressed on its own. */
const EACH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/** What browsers offer. */
const BROWSERS = "permessage-deflate; client_max_window_bits";

/** @type {Record<string, ServerRow>} */
export const SERVERS = {
  websock: { script: "websock.mjs", raw: false },
  ws: { script: "ws.mjs", raw: false },
  "websock-als": { script: "websock-als.mjs", raw: false },
  express: { script: "websock-express.mjs", raw: false },
  "websock-h2": { script: "websock-http2.mjs", raw: false, http2: true },
  http2: { script: "http2.mjs", raw: true, http2: true },
  "websock-deflate": { script: "websock.mjs", raw: false, compressed: EACH, args: ["deflate"] },
  "ws-deflate": { script: "ws.mjs", raw: false, compressed: EACH, args: ["deflate"] },
  "websock-compress": { script: "websock.mjs", raw: false, compressed: BROWSERS, args: ["compress"] },
  "ws-compress": { script: "ws.mjs", raw: false, compressed: BROWSERS, args: ["compress"] },
  "ws-host": { script: "ws-host.mjs", raw: false },
  bun: { script: "websock-bun.mjs", raw: false, runtime: "bun" },
  "bun-native": { script: "bun.mjs", raw: false, runtime: "bun" },
  deno: { script: "websock-deno.mjs", raw: false, runtime: "deno" },
  "deno-native": { script: "deno.mjs", raw: false, runtime: "deno" },
  net: { script: "net.mjs", raw: true },
};
