/**
 * What the charts show, and the sentence above each. The sentences are made of the numbers.
 *
 * @typedef {object} Common
 * @property {string} name of the file
 * @property {string} sentence what the chart shows
 * @property {string} subject what was measured
 * @property {string} source the machine, the versions and the time
 *
 * @typedef {Common & { kind: "bars", grouped: boolean, rows: readonly Bar[] }} Bars
 * @typedef {object} Bar
 * @property {string} key
 * @property {string} label the server
 * @property {string} [heading] of a group, instead of a bar
 * @property {number} share of the largest value of the group
 * @property {string} text
 * @property {boolean} disturbed
 *
 * @typedef {{ type: "log" | "linear", label: string }} Axis
 * @typedef {Common & { kind: "lines", x: Axis, y: Axis, points: readonly Point[] }} Lines
 * @typedef {{ label: string, x: number, y: number, disturbed: boolean }} Point
 * @typedef {Bars | Lines} Chart
 */
import { median, short } from "./stats.mjs";

/** @typedef {any} Result a file of bench/results */
/** @typedef {Readonly<Record<string, Result>>} Results by workload */

/** @param {Result} result @param {string} label */
const rowOf = (result, label) => result?.rows.find((/** @type {any} */ row) => row.label === label);

/** @param {Result} result @param {string} label @param {string} [what] @returns {number | undefined} */
const medianAt = (result, label, what = "value") => rowOf(result, label)?.[what];

/** @param {Result} result */
const sourceOf = ({ machine, versions, rounds, seconds, taken, rows }) =>
  [
    `Node ${versions.node}`,
    ...(rows.some((/** @type {any} */ { label }) => label === "ws") ? [`ws ${versions.ws}`] : []),
    ...(rows.some((/** @type {any} */ { label, value }) => label === "uws" && value)
      ? [`uWebSockets.js ${versions["uWebSockets.js"]}`]
      : []),
    ...(rows.some((/** @type {any} */ { label }) => label.endsWith("bun")) ? [`Bun ${versions.bun}`] : []),
    `${machine.cores} × ${machine.cpu}`,
    `${rounds} × ${seconds} s`,
    `${versions.commit}, ${taken.slice(0, 10)}`,
  ].join(" · ");

/** @param {number} ratio */
const times = (ratio) => `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(1)} times`;

/**
 * The ratio of ours to another server in a workload, by the medians.
 *
 * @param {Result} result
 * @param {string} server
 * @param {string} [what]
 */
const ratioTo = (result, server, what) => {
  const [ours, its] = [medianAt(result, result?.rows[0].label, what), medianAt(result, server, what)];
  return ours === undefined || its === undefined ? undefined : ours / its;
};

/**
 * Bars, in groups of one workload each.
 *
 * @param {Results} results
 * @param {readonly (readonly [id: string, heading: string])[]} groups
 * @param {{ what?: string, format?: (value: number) => string }} [options]
 * @returns {Pick<Bars, "kind" | "grouped" | "rows"> | undefined}
 */
const bars = (results, groups, { what = "value", format = short } = {}) => {
  const known = groups.filter(([id]) => results[id] !== undefined);
  const rows = known.flatMap(([id, heading]) => {
    const its = results[id].rows.filter((/** @type {any} */ row) => row[what] !== undefined);
    const most = Math.max(...its.map((/** @type {any} */ row) => row[what]));
    return [
      ...(groups.length === 1 ? [] : [{ key: id, label: "", heading, share: 0, text: "", disturbed: false }]),
      ...its.map((/** @type {any} */ row) => ({
        key: `${id} ${row.label}`,
        label: row.label,
        share: row[what] / most,
        text: format(row[what]),
        disturbed: row.marks.length > 0,
      })),
    ];
  });
  return rows.length === 0 ? undefined : { kind: "bars", grouped: groups.length > 1, rows };
};

/**
 * A point for each server in each of several workloads.
 *
 * @param {Results} results
 * @param {string} prefix of the names of the workloads, which end with the value of x
 * @param {(row: any) => number | undefined} of the value of y
 * @returns {Point[]}
 */
const pointsOf = (results, prefix, of) =>
  Object.entries(results)
    .filter(([id]) => id.startsWith(prefix))
    .map(([id, result]) => /** @type {const} */ ([Number(id.slice(prefix.length)), result]))
    .sort(([a], [b]) => a - b)
    .flatMap(([x, { rows }]) =>
      rows.flatMap((/** @type {any} */ row) => {
        const y = of(row);
        return y === undefined ? [] : [{ label: row.label, x, y, disturbed: row.marks.length > 0 }];
      }),
    );

/**
 * The median resident memory at each step of a workload.
 *
 * @param {Result} result
 * @returns {Point[]}
 */
const memoryPoints = ({ workload, rows }) =>
  rows.flatMap((/** @type {any} */ row) => {
    const samples = row.samples.filter(Boolean);
    if (samples.length === 0) return [];
    return workload.steps.map((/** @type {number} */ x, /** @type {number} */ i) => ({
      label: row.label,
      x,
      y: median(samples.map((/** @type {any} */ sample) => sample.detail.points[i].rss)) / 2 ** 20,
      disturbed: row.marks.length > 0,
    }));
  });

/** @param {readonly Point[]} points @param {string} label @param {number} x */
const at = (points, label, x) => points.find((point) => point.label === label && point.x === x)?.y;

/** @param {number} value */
const bytes = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(0)} kB` : `${(value / 1000).toFixed(1)} kB`);

/** With a space between thousands. @param {number} count */
const grouped = (count) => count.toLocaleString("en").replaceAll(",", " ");

/** @param {number} share */
const percentOf = (share) => `${(share * 100).toFixed(0)} %`;

/** @param {Results} results @returns {Chart[]} those for which there are results */
export const charts = (results) =>
  [echoes, everyServer, chats, memories, latencies, handshakes, connections, members, memoryGrowth, topics].flatMap(
    (chart) => chart(results) ?? [],
  );

/** @type {(results: Results) => Chart | undefined} */
const echoes = (results) => {
  /** @type {[string, string][]} */
  const groups = [
    ["echo-32B-16-text", "32 B text, 64 connections, 16 in flight"],
    ["echo-32B-1-binary", "32 B binary, 64 connections, 1 in flight"],
    ["echo-1KiB-4-binary", "1 KiB binary, 64 connections, 4 in flight"],
    ["echo-64KiB-1-binary", "64 KiB binary, 16 connections, 1 in flight"],
    ["echo-1MiB-1-binary", "1 MiB binary, 4 connections, 1 in flight"],
    ["deflate-8", "730 B of JSON with permessage-deflate, 32 connections, 8 in flight"],
  ];
  const usual = ["websock", "ws", "net", "uws", "bun"];
  const first = results["echo-32B-16-text"];
  const drawn = bars(
    {
      ...results,
      ...(first && {
        "echo-32B-16-text": {
          ...first,
          rows: first.rows.filter((/** @type {any} */ row) => usual.includes(row.label)),
        },
      }),
    },
    groups,
  );
  const ratios = groups.flatMap(([id]) => ratioTo(results[id], "ws") ?? []);
  if (drawn === undefined || ratios.length === 0) return undefined;
  const [least, most] = [Math.min(...ratios), Math.max(...ratios)];
  const range = least === most ? times(most) : `${least.toFixed(1)} to ${times(most)}`;
  return {
    name: "echo",
    sentence: `Messages are echoed ${range} as fast as by ws`,
    subject: "messages per second: longer is better",
    source: sourceOf(results[drawn.rows[0]?.key ?? ""]),
    ...drawn,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const everyServer = (results) => {
  const result = results["echo-32B-16-text"];
  const drawn = bars(results, [["echo-32B-16-text", ""]]);
  if (drawn === undefined) return undefined;
  const rows = [...drawn.rows].sort((a, b) => b.share - a.share);
  const others = rows.filter(({ label }) => !label.startsWith("websock"));
  const share = rows.find(({ label }) => label === "websock")?.share ?? 0;
  const slower = others.filter((row) => row.share < share).length;
  const hosts = rows.length - others.length;
  return {
    name: "servers",
    sentence: `One handler on ${hosts} hosts; on Node it is faster than ${slower} of ${others.length} other servers`,
    subject: "32 B text, 64 connections, 16 in flight, messages per second: longer is better",
    source: sourceOf(result),
    ...drawn,
    rows,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const chats = (results) => {
  const result = results.chat;
  const drawn = bars(results, [["chat", ""]], { what: "perCpu" });
  if (drawn === undefined) return undefined;
  const shares = Object.entries({ ws: "ws", bun: "Bun" }).flatMap(([label, name]) => {
    const ratio = ratioTo(result, label, "perCpu");
    return ratio === undefined ? [] : [`1/${ratio.toFixed(0)} of that of ${name}`];
  });
  return {
    name: "chat",
    sentence: `In a chat of 32, a delivery costs ${shares.join(" and ")}`,
    subject: "32 members send 32 B texts to all: deliveries per second of the server's CPU time: longer is better",
    source: sourceOf(result),
    ...drawn,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const memories = (results) => {
  const drawn = bars(
    results,
    [
      ["memory-plain", "without a message"],
      ["memory-message", "after a message"],
      ["memory-compressed", "after a compressed message (permessage-deflate, the server's defaults)"],
      ["memory-tls", "over TLS"],
      ["memory-http2", "on an HTTP/2 session of its own"],
    ],
    { format: bytes },
  );
  const plain = results["memory-plain"];
  if (drawn === undefined || plain === undefined) return undefined;
  const [ours, ws] = [medianAt(plain, "websock"), medianAt(plain, "ws")];
  if (ours === undefined || ws === undefined) return undefined;
  const compressed = ratioTo(results["memory-compressed"], "ws");
  const more = compressed === undefined ? "" : `; with compression ${percentOf(compressed)} of ws`;
  return {
    name: "memory",
    sentence: `An idle connection costs ${bytes(ours)}, with ws ${bytes(ws)}${more}`,
    subject: "resident memory of the server for each further idle connection: shorter is better",
    source: sourceOf(plain),
    ...drawn,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const latencies = (results) => {
  const drawn = bars(
    results,
    [
      ["latency-50", "at 50 % of what ws can answer"],
      ["latency-90", "at 90 % of what ws can answer"],
    ],
    { format: (micros) => `${short(micros)} µs` },
  );
  const result = results["latency-90"];
  const ratio = ratioTo(result, "ws");
  if (drawn === undefined || ratio === undefined) return undefined;
  return {
    name: "latency",
    sentence: `At 90 % of what ws can answer, the 99th percentile of the latency is ${percentOf(ratio)} of that of ws`,
    subject: "32 B text, 64 connections, sent at fixed times; latency from these times (p99): shorter is better",
    source: sourceOf(result),
    ...drawn,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const handshakes = (results) => {
  const drawn = bars(
    results,
    [
      ["handshakes", "plain server of node:http"],
      ["handshakes-express", "through the router of Express (the handshakes of ws go past it)"],
    ],
    { format: (micros) => `${short(micros)} µs` },
  );
  const ratio = ratioTo(results["handshakes-express"], "ws-express");
  if (drawn === undefined || ratio === undefined) return undefined;
  return {
    name: "handshakes",
    sentence: `A handshake through the router costs ${percentOf(ratio)} of that of ws, which goes past the router`,
    subject: "CPU time of the server while connections are opened, for each of them: shorter is better",
    source: sourceOf(results["handshakes-express"]),
    ...drawn,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const connections = (results) => {
  const points = pointsOf(results, "growth-connections-", ({ value }) => value);
  const ours = points.filter(({ label }) => label === "websock");
  const last = ours.at(-1);
  if (last === undefined) return undefined;
  const most = Math.max(...ours.map(({ y }) => y));
  return {
    name: "growth-connections",
    kind: "lines",
    sentence: `With ${grouped(last.x)} connections, messages per second are ${percentOf(last.y / most)} of the maximum`,
    subject: "echo, 32 B text, 1 in flight on each connection",
    source: sourceOf(results[`growth-connections-${last.x}`]),
    x: { type: "log", label: "connections" },
    y: { type: "linear", label: "messages/s" },
    points,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const members = (results) => {
  const points = pointsOf(results, "growth-fanout-", ({ cpu }) => cpu);
  const ours = points.filter(({ label }) => label === "websock");
  const last = ours.at(-1);
  if (last === undefined) return undefined;
  const growth = times(last.y / (at(points, "websock", 100) ?? Number.NaN));
  return {
    name: "growth-fanout",
    kind: "lines",
    sentence: `A delivery to one of ${grouped(last.x)} members costs ${growth} as much as to one of 100`,
    subject: "one sender, 32 B text, one message in a tick: CPU time of the server for each delivery",
    source: sourceOf(results[`growth-fanout-${last.x}`]),
    x: { type: "log", label: "members" },
    y: { type: "log", label: "µs of server CPU/delivery" },
    points,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const memoryGrowth = (results) => {
  const result = results["memory-plain"];
  if (result === undefined) return undefined;
  const points = memoryPoints(result);
  const last = result.workload.steps.at(-1);
  const [ours, ws] = [at(points, "websock", last), at(points, "ws", last)];
  if (ours === undefined) return undefined;
  const others = ws === undefined ? "" : `, one of ws ${ws.toFixed(0)} MiB`;
  return {
    name: "growth-memory",
    kind: "lines",
    sentence: `A server with ${grouped(last)} idle connections needs ${ours.toFixed(0)} MiB${others}`,
    subject: "resident memory of the server against idle connections, after garbage collections",
    source: sourceOf(result),
    x: { type: "linear", label: "connections" },
    y: { type: "linear", label: "MiB" },
    points,
  };
};

/** @type {(results: Results) => Chart | undefined} */
const topics = (results) => {
  const result = results["memory-topics"];
  const each = medianAt(result, "websock");
  if (each === undefined) return undefined;
  return {
    name: "growth-topics",
    kind: "lines",
    sentence: `The last 50 000 of 100 000 topics with one member each cost ${bytes(each)} each`,
    subject: "resident memory of the server against topics, each with one member",
    source: sourceOf(result),
    x: { type: "linear", label: "topics" },
    y: { type: "linear", label: "MiB" },
    points: memoryPoints(result),
  };
};
