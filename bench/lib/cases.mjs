/**
 * The cases. A new one is a row here and, if it needs another server, a row in `servers.mjs`.
 *
 * @typedef {object} Case
 * @property {string} id what `--only` selects, whole or in part
 * @property {string} title
 * @property {"text" | "binary"} kind
 * @property {number} size of a message's payload, in bytes
 * @property {string} [alphabet] the characters of texts; default: letters, digits, space and full stop, all ASCII
 * @property {number} inFlight the number of messages of one connection that are unanswered at the same time
 * @property {number} connections
 * @property {readonly string[]} servers rows of `servers.mjs`; the first is compared with the others
 * @property {Readonly<Record<string, number>>} targets for the other servers: the least ratio of throughputs
 * @property {boolean} [extra] it runs only if `--only` is its whole id
 */

const SERVERS = ["websock", "ws", "net"];

/** @type {Omit<Case, "id" | "title" | "kind" | "servers">[]} */
const WORK = [
  { size: 32, inFlight: 16, connections: 32, targets: { ws: 7, net: 0.7 } },
  { size: 32, inFlight: 1, connections: 32, targets: { ws: 1.05, net: 0.93 } },
  { size: 65_536, inFlight: 1, connections: 16, targets: { ws: 1.6 } },
  { size: 1_048_576, inFlight: 1, connections: 4, targets: { ws: 1.8 } },
];

/** @param {number} size */
const sizeName = (size) =>
  size >= 1_048_576 ? `${size / 1_048_576}MiB` : size >= 1024 ? `${size / 1024}KiB` : `${size}B`;

/** @type {readonly Case[]} */
export const CASES = [
  ...WORK.flatMap((work) =>
    /** @type {const} */ (["text", "binary"]).map((kind) => ({
      ...work,
      kind,
      id: `${sizeName(work.size)}-${work.inFlight}-${kind}`,
      title: `${sizeName(work.size)} ${kind}, ${work.inFlight} in flight`,
      servers: SERVERS,
    })),
  ),
  // One stream on each connection: what our frames add to a stream of HTTP/2.
  ...[16, 1].map((inFlight) => ({
    id: `http2-32B-${inFlight}`,
    title: `HTTP/2, 32B text, ${inFlight} in flight`,
    kind: /** @type {const} */ ("text"),
    size: 32,
    inFlight,
    connections: 32,
    servers: ["websock-h2", "http2"],
    targets: inFlight === 16 ? { http2: 0.9 } : {},
  })),
  // After the upgrade, the framework whose route performed it should cost nothing.
  {
    id: "express-32B-16",
    title: "through Express, 32B text, 16 in flight",
    kind: "text",
    size: 32,
    inFlight: 16,
    connections: 32,
    servers: ["express", "websock"],
    targets: { websock: 0.97 },
  },
  // What the AsyncLocalStorage context of a connection costs.
  ...[16, 1].map((inFlight) => ({
    id: `als-32B-${inFlight}-text`,
    title: `in an AsyncLocalStorage context, 32B text, ${inFlight} in flight`,
    kind: /** @type {const} */ ("text"),
    size: 32,
    inFlight,
    connections: 32,
    servers: ["websock-als", "websock"],
    targets: {},
  })),
  // Our handler on a server of ws, against ws alone.
  ...[16, 1].map((inFlight) => ({
    id: `ws-host-32B-${inFlight}`,
    title: `on ws, 32B text, ${inFlight} in flight`,
    kind: /** @type {const} */ ("text"),
    size: 32,
    inFlight,
    connections: 32,
    servers: ["ws-host", "ws"],
    targets: { ws: 0.95 },
  })),
  // Each host in its own runtime, against the same program on the bare API of the host.
  ...[16, 1].flatMap((inFlight) =>
    Object.entries({ bun: 0.9, deno: 0.95 }).map(([host, target]) => ({
      id: `${host}-32B-${inFlight}`,
      title: `on ${host}, 32B text, ${inFlight} in flight`,
      kind: /** @type {const} */ ("text"),
      size: 32,
      inFlight,
      connections: 32,
      servers: [host, `${host}-native`],
      targets: { [`${host}-native`]: target },
    })),
  ),
  ...[1, 8].map((inFlight) => ({
    id: `deflate-${inFlight}`,
    title: `730 B of JSON, permessage-deflate, ${inFlight} in flight`,
    kind: /** @type {const} */ ("text"),
    size: 730,
    inFlight,
    connections: 32,
    servers: ["websock-deflate", "ws-deflate"],
    targets: { "ws-deflate": inFlight === 1 ? 1.7 : 3.5 },
  })),
  // The cost of text that is not ASCII; it has no targets.
  ...[32, 65_536].map((size) => ({
    id: `${sizeName(size)}-1-unicode`,
    title: `${sizeName(size)} text of two-byte characters, 1 in flight`,
    kind: /** @type {const} */ ("text"),
    alphabet: "абвгдежз",
    size,
    inFlight: 1,
    connections: 16,
    servers: SERVERS,
    targets: {},
    extra: true,
  })),
];
