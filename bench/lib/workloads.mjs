/**
 * The workloads, with the servers that are compared, and the targets of the comparison.
 *
 * @typedef {object} Workload
 * @property {string} id what `--only` selects, whole or in part
 * @property {string} title
 * @property {"echo" | "chat" | "handshakes" | "latency" | "memory" | "topics" | "infos" | "nodes"} kind how it is
 * measured: a module in `measures/`
 * @property {string} unit
 * @property {"higher" | "lower"} better which values are better
 * @property {"value" | "perCpu"} decides which ratio is compared with the target
 * @property {readonly string[]} servers rows of `servers.mjs` (of `nodes`, what connects the nodes); the first is
 * compared with the others
 * @property {string} [program] of the servers; default: `echo`
 * @property {"each" | "default"} [compress]
 * @property {Omit<import("../load/loads.mjs").LoadOptions, "mode" | "protocol" | "port">} load
 * @property {Readonly<Record<string, Target>>} targets by server
 * @property {readonly number[]} [steps] of memory: the numbers of connections, or topics, at which it is measured
 * @property {number} [share] of latency: the rate, as a share of the saturation of `ws`
 * @property {number} [perTick] of nodes: how many messages are published in an event-loop tick
 *
 * @typedef {object} Target a bound of the ratio of ours to the other server: at least, or, of a workload whose lower
 * values are better, at most
 * @property {number} target
 * @property {number} [required] what must be reached in any case
 */

/** What is compared in most workloads. */
const USUAL = ["websock", "ws", "net", "uws", "bun"];

/** Everything that can echo a text. */
const EVERYTHING = [
  ...["websock", "websock-node20", "websock-node26", "websock-http2", "websock-bun", "websock-deno", "websock-ws"],
  ...["ws", "net", "http2", "uws", "bun", "deno", "crossws", "crossws-bun", "crossws-deno", "fastify", "socket.io"],
];

/** An offer by which each message is compressed on its own. */
const EACH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
/** What browsers offer. */
const BROWSERS = "permessage-deflate; client_max_window_bits";

const CYRILLIC = "абвгдежз";

/** @param {Record<string, number>} targets @returns {Record<string, Target>} */
const only = (targets) => Object.fromEntries(Object.entries(targets).map(([server, target]) => [server, { target }]));

/** @param {number} size */
const sizeName = (size) =>
  size >= 1_048_576 ? `${size / 1_048_576}MiB` : size >= 1024 ? `${size / 1024}KiB` : `${size}B`;

/** @param {number} count @param {string} noun */
const countOf = (count, noun) =>
  count === 1 ? `one ${noun}` : `${count.toLocaleString("en").replaceAll(",", " ")} ${noun}s`;

/**
 * @param {string} id
 * @param {string} title
 * @param {Workload["load"]} load
 * @param {Partial<Workload>} [more]
 * @returns {Workload}
 */
const echo = (id, title, load, more = {}) => ({
  id,
  title,
  kind: "echo",
  unit: "messages/s",
  better: "higher",
  decides: "value",
  servers: USUAL,
  load,
  targets: {},
  ...more,
});

/**
 * One size, in text (ASCII and, where `unicode` says so, not) and binary.
 *
 * @param {number} size
 * @param {number} inFlight
 * @param {number} connections
 * @param {Partial<Record<"text" | "binary" | "unicode", Record<string, Target>>>} targets the kinds, and their targets
 */
const sizes = (size, inFlight, connections, targets) =>
  Object.entries(targets).map(([name, its]) => {
    const kind = name === "binary" ? "binary" : "text";
    const alphabet = name === "unicode" ? { alphabet: CYRILLIC } : {};
    const what = name === "unicode" ? "text of two-byte characters" : kind;
    return echo(
      `echo-${sizeName(size)}-${inFlight}-${name}`,
      `echo, ${sizeName(size)} ${what}, ${connections} connections, ${inFlight} in flight`,
      { messages: { kind, size, ...alphabet }, inFlight, connections },
      { targets: its, ...(size === 32 && inFlight === 16 && name === "text" ? { servers: EVERYTHING } : {}) },
    );
  });

const SHORT = { messages: { kind: /** @type {const} */ ("text"), size: 32 }, connections: 64 };
const HOT = { ws: { target: 11 }, net: { target: 1, required: 0.92 }, uws: { target: 1.5 }, bun: { target: 0.85 } };
const SINGLE = only({ ws: 1.15, net: 1, uws: 0.8 });
const KIB = { ws: { target: 3.5 }, net: { target: 0.95, required: 0.85 }, uws: { target: 0.85 } };

/**
 * A room in which `senders` of the members send to all of them.
 *
 * @param {string} id
 * @param {string} title
 * @param {Workload["load"]} load
 * @param {Partial<Workload>} [more]
 * @returns {Workload}
 */
const chat = (id, title, load, more = {}) => ({
  id,
  title,
  kind: "chat",
  unit: "deliveries/s",
  better: "higher",
  // The servers that deliver the most are limited by the load.
  decides: "perCpu",
  program: load.except ? "chat-except" : "chat",
  servers: ["websock", "ws", "crossws", "uws", "bun"],
  load,
  targets: {},
  ...more,
});

const ROOM = { ...SHORT, connections: 32, senders: 32, burst: 20, bursts: 32 };
const ONE_SENDER = { ...SHORT, senders: 1, burst: 1, bursts: 1 };

/**
 * @param {string} id
 * @param {string} title
 * @param {Partial<Workload>} more
 * @returns {Workload}
 */
const memory = (id, title, more) => ({
  id: `memory-${id}`,
  title: `memory of an idle connection, ${title}: RSS between 5 000 and 10 000 connections`,
  kind: "memory",
  unit: "bytes/connection",
  better: "lower",
  decides: "value",
  servers: ["websock", "ws", "net", "uws", "bun"],
  load: { messages: { kind: "text", size: 32 }, exchange: 0 },
  steps: [1_000, 2_500, 5_000, 7_500, 10_000],
  targets: {},
  ...more,
});

/**
 * @param {number} share
 * @param {Record<string, Target>} targets
 * @returns {Workload}
 */
const latency = (share, targets) => ({
  id: `latency-${share * 100}`,
  title: `latency at ${share * 100} % of the saturation of ws, 32B text, 64 connections, sent at fixed times`,
  kind: "latency",
  unit: "µs (p99)",
  better: "lower",
  decides: "value",
  share,
  servers: USUAL,
  load: SHORT,
  targets,
});

/**
 * @param {string} id
 * @param {string} title
 * @param {readonly string[]} servers
 * @param {Record<string, Target>} [targets]
 * @returns {Workload}
 */
const handshakes = (id, title, servers, targets = {}) => ({
  id,
  title,
  kind: "handshakes",
  unit: "µs of server CPU/handshake",
  better: "lower",
  decides: "value",
  servers,
  load: { ...SHORT, connections: 500, inFlight: 16 },
  targets,
});

/** @type {readonly Workload[]} */
export const WORKLOADS = [
  ...sizes(32, 16, 64, { text: HOT, binary: HOT, unicode: {} }),
  ...[1, 1_000].map((connections) =>
    echo(`echo-32B-16-c${connections}`, `echo, 32B text, ${countOf(connections, "connection")}, 16 in flight`, {
      ...SHORT,
      connections,
      inFlight: 16,
    }),
  ),
  ...sizes(32, 1, 64, { text: SINGLE, binary: SINGLE }),
  ...sizes(1_024, 4, 64, { text: KIB, binary: KIB, unicode: {} }),
  ...sizes(16_384, 1, 16, { text: {}, binary: {} }),
  ...sizes(65_536, 1, 16, {
    binary: { ws: { target: 3 }, net: { target: 1.2, required: 1 }, uws: { target: 0.6 } },
    text: only({ ws: 2.5 }),
    unicode: only({ ws: 2 }),
  }),
  ...sizes(1_048_576, 1, 4, {
    binary: { ws: { target: 3 }, net: { target: 1.3, required: 1.2 }, uws: { target: 0.75 } },
    text: {},
  }),

  // What telemetry costs: a server with subscribers next to one without.
  ...["observed", "opentelemetry"].map((name) =>
    echo(
      `telemetry-${name}`,
      `echo, 32B text, 64 connections, 16 in flight, ${name === "observed" ? "with subscribers" : "with OpenTelemetry"}`,
      { ...SHORT, inFlight: 16 },
      { servers: [`websock-${name}`, "websock"], targets: only({ websock: 0.95 }) },
    ),
  ),

  ...[
    { program: "five", title: "five different handlers", ratio: 8, load: { ...SHORT, paths: 5 } },
    { program: "json", title: "a handler that parses JSON and answers other JSON", ratio: 4 },
    { program: "async", title: "an async handler", ratio: 4 },
  ].map(({ program, title, ratio, load = SHORT }) =>
    echo(
      program,
      `${title}, 32B text, 64 connections, 16 in flight`,
      { ...load, inFlight: 16, ...(program === "json" ? { messages: { kind: "text", json: true } } : {}) },
      {
        program,
        servers: program === "five" ? ["websock", "ws"] : ["websock", "ws", "uws", "bun"],
        targets: only({ ws: ratio }),
      },
    ),
  ),
  echo("fragmented", "echo, 16KiB text in 4 fragments, 16 connections, 1 in flight", {
    messages: { kind: "text", size: 16_384, fragments: 4 },
    connections: 16,
  }),
  ...[1, 8].map((inFlight) =>
    echo(
      `deflate-${inFlight}`,
      `echo, 730 B of JSON, permessage-deflate, 32 connections, ${inFlight} in flight`,
      { messages: { kind: "text", size: 730, compressed: EACH }, connections: 32, inFlight },
      {
        compress: "each",
        servers: ["websock", "ws", "uws", "bun"],
        targets: only(inFlight === 1 ? { ws: 5, uws: 1.1 } : { ws: 8, uws: 1.3 }),
      },
    ),
  ),
  echo(
    "slow-readers",
    "echo, 16KiB binary, 32 connections, 1 in flight, beside 8 that send 3 MiB/s and read 400 KiB/s each",
    { messages: { kind: "binary", size: 16_384 }, connections: 40, slow: 8, slowMessages: 2 },
    { servers: ["websock", "ws", "uws", "bun"] },
  ),

  ...[16, 1].map((inFlight) =>
    echo(
      `http2-32B-${inFlight}`,
      `HTTP/2, 32B text, 32 connections, ${inFlight} in flight`,
      { ...SHORT, connections: 32, inFlight },
      {
        servers: ["websock-http2", "http2"],
        targets: inFlight === 16 ? only({ http2: 0.95 }) : {},
      },
    ),
  ),
  // After the upgrade, the framework whose route performed it should cost nothing.
  echo(
    "express-32B-16",
    "upgraded in a route of Express, 32B text, 16 in flight",
    { ...SHORT, inFlight: 16 },
    {
      servers: ["websock-express", "websock"],
      targets: only({ websock: 0.97 }),
    },
  ),
  ...[16, 1].flatMap((inFlight) => [
    // What the AsyncLocalStorage context of a connection costs.
    echo(
      `als-32B-${inFlight}`,
      `in an AsyncLocalStorage context, 32B text, ${inFlight} in flight`,
      { ...SHORT, inFlight },
      {
        servers: ["websock-als", "websock"],
      },
    ),
    // Each host, against the same program on the bare API of the host.
    ...Object.entries({ ws: 0.95, bun: 0.9, deno: 0.95 }).map(([host, target]) =>
      echo(
        `${host}-32B-${inFlight}`,
        `on ${host}, 32B text, ${inFlight} in flight`,
        { ...SHORT, inFlight },
        {
          servers: [`websock-${host}`, host],
          targets: only({ [host]: target }),
        },
      ),
    ),
  ]),

  ...[1, 16].map((inFlight) =>
    echo(
      `channels-push-${inFlight}`,
      `Phoenix channels: a push of 32 B that is answered, 64 connections, ${inFlight} in flight`,
      { ...SHORT, messages: { kind: "text", size: 32, channel: "push" }, inFlight },
      { program: "push", servers: ["websock-channels", "websock"], targets: only({ websock: 0.5 }) },
    ),
  ),
  chat(
    "channels-broadcast",
    "Phoenix channels: a broadcast of 32 B to 1 000 members, and topic.publish of the same bytes",
    { ...ONE_SENDER, messages: { kind: "text", size: 32, channel: "broadcast" }, connections: 1_000 },
    { servers: ["websock-channels", "websock"], targets: only({ websock: 0.9 }) },
  ),

  chat("chat", "a chat of 32, all to all", ROOM, {
    servers: ["websock", "websock-loop", "ws", "crossws", "uws", "bun"],
    targets: only({ ws: 200, crossws: 200, uws: 10, bun: 8 }),
  }),
  chat(
    "chat-except",
    "a chat of 32, all to all others",
    { ...ROOM, except: true },
    {
      targets: only({ ws: 100, crossws: 100, uws: 5, bun: 4 }),
    },
  ),
  chat(
    "chat-deflate",
    "a chat of 32, all to all, with compression",
    { ...ROOM, bursts: 4, messages: { kind: "text", size: 730, compressed: EACH } },
    { compress: "each", servers: ["websock", "ws"], targets: only({ ws: 50 }) },
  ),
  chat(
    "fanout-1000-burst-20",
    "one to 1 000 members, 20 messages in a tick",
    { ...ONE_SENDER, connections: 1_000, burst: 20 },
    {
      targets: only({ ws: 15 }),
    },
  ),

  handshakes("handshakes", "handshakes, plain server", ["websock", "ws", "bare-101"]),
  // `ws` listens to the server's `upgrade` event: its handshakes go past the router.
  handshakes(
    "handshakes-express",
    "handshakes through the router of Express (those of ws go past it)",
    ["websock-express", "ws-express", "bare-101-express"],
    only({ "ws-express": 0.9, "bare-101-express": 1.08 }),
  ),

  memory("plain", "without a message", { targets: only({ ws: 0.7, net: 1.5 }) }),
  memory("message", "after a message each", { load: { messages: { kind: "text", size: 32 }, exchange: 1 } }),
  // By default, `ws` compresses messages of 1 024 bytes or more, and we those of 512 or more.
  memory("compressed", "after a compressed message each", {
    compress: "default",
    servers: ["websock", "ws"],
    load: { messages: { kind: "text", size: 2_048, compressed: BROWSERS }, exchange: 1 },
    targets: only({ ws: 0.05 }),
  }),
  memory("http2", "each on an HTTP/2 session of its own", {
    title: "memory of an idle connection on an HTTP/2 session of its own: RSS between 1 000 and 2 000 connections",
    servers: ["websock-http2", "http2"],
    steps: [500, 1_000, 2_000],
  }),
  memory("tls", "over TLS", {
    title: "memory of an idle connection over TLS: RSS between 1 000 and 2 000 connections",
    servers: ["websock-tls", "ws-tls", "net-tls"],
    steps: [500, 1_000, 2_000],
  }),
  memory("als", "with an AsyncLocalStorage context", { servers: ["websock-als", "websock"] }),
  memory("topics", "", {
    title: "memory of a topic with one member: RSS between 50 000 and 100 000 topics",
    kind: "topics",
    unit: "bytes/topic",
    program: "topics",
    servers: ["websock", "uws", "bun"],
    steps: [1_000, 10_000, 25_000, 50_000, 100_000],
  }),

  latency(0.5, {}),
  latency(0.9, only({ ws: 0.5, net: 1.2 })),

  {
    id: "infos",
    title: "infos to the handleInfo of 1 000 connections: topic.broadcast, and a loop of self.send",
    kind: "infos",
    unit: "infos/s",
    better: "higher",
    decides: "perCpu",
    program: "infos",
    servers: ["websock", "websock-self-send"],
    load: { ...SHORT, connections: 1_000 },
    targets: only({ "websock-self-send": 0.9 }),
  },
  ...[1, 20].map((perTick) => ({
    id: `nodes-${perTick}`,
    title: `from one node to a client of another, 100 bytes, ${countOf(perTick, "message")} in a tick`,
    kind: /** @type {const} */ ("nodes"),
    unit: "µs of CPU of both nodes/message",
    better: /** @type {const} */ ("lower"),
    decides: /** @type {const} */ ("value"),
    servers: ["redis", "ioredis", "nats", "socket.io-redis", "crossws-redis"],
    perTick,
    load: { messages: {} },
    targets: {},
  })),

  // How cost grows.
  ...[1, 10, 100, 1_000, 10_000].map((connections) =>
    echo(
      `growth-connections-${connections}`,
      `echo, 32B text, ${countOf(connections, "connection")}, 1 in flight`,
      { ...SHORT, connections },
      {
        servers: ["websock", "ws", "uws"],
      },
    ),
  ),
  ...[1, 10, 100, 1_000, 10_000].map((connections) =>
    chat(
      `growth-fanout-${connections}`,
      `one to ${countOf(connections, "member")}, one message in a tick`,
      { ...ONE_SENDER, connections },
      {
        servers: ["websock", "ws", "uws"],
        targets: connections === 1_000 ? only({ ws: 1.2 }) : {},
      },
    ),
  ),
];
