/**
 * The ways to measure, by the `kind` of a workload.
 *
 * @typedef {(participant: import("../lib/rounds.mjs").Participant, work: import("../lib/workloads.mjs").Workload,
 *   context: import("./load.mjs").Context) => Promise<import("./load.mjs").Sample>} Measure
 * @typedef {(work: import("../lib/workloads.mjs").Workload, context: import("./load.mjs").Context) => number} SecondsOf
 * about how long one measurement takes
 */
import * as chat from "./chat.mjs";
import * as echo from "./echo.mjs";
import * as handshakes from "./handshakes.mjs";
import * as infos from "./infos.mjs";
import * as latency from "./latency.mjs";
import * as memory from "./memory.mjs";
import * as nodes from "./nodes.mjs";
import * as topics from "./topics.mjs";

/** @type {Record<import("../lib/workloads.mjs").Workload["kind"], { measure: Measure, secondsOf: SecondsOf }>} */
export const MEASURES = { chat, echo, handshakes, infos, latency, memory, nodes, topics };
