/**
 * Who is measured.
 *
 * @typedef {object} ServerRow
 * @property {string} script of `bench/servers`
 * @property {boolean} raw it knows no WebSockets, and returns the octets that it gets
 * @property {readonly string[]} [args]
 */

/** @type {Record<string, ServerRow>} */
export const SERVERS = {
  websock: { script: "websock.mjs", raw: false },
  ws: { script: "ws.mjs", raw: false },
  net: { script: "net.mjs", raw: true },
};
