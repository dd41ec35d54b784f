#!/usr/bin/env node
/** How fast messages are sent to many clients, next to other servers. See README.md. */
import os from "node:os";
import { parseArgs } from "node:util";
import { Child, CORE, canPin } from "./lib/child.mjs";
import { commandFor, MissingRuntime } from "./lib/engines.mjs";
import { median, percent, short, table } from "./lib/stats.mjs";

/** @typedef {import("./lib/fanout-load.mjs").Case} Case */

/** @type {Record<string, { script: string, args: readonly string[], runtime?: "bun", command?: readonly string[] }>} */
const SERVERS = {
  topic: { script: "servers/fanout.mjs", args: ["topic"] },
  loop: { script: "servers/fanout.mjs", args: ["loop"] },
  ws: { script: "servers/fanout.mjs", args: ["ws"] },
  crossws: { script: "servers/fanout.mjs", args: ["crossws"] },
  uws: { script: "servers/fanout.mjs", args: ["uws"], command: (process.env.UWS_NODE ?? "node").split(" ") },
  bun: { script: "servers/fanout-bun.mjs", args: [], runtime: "bun" },
};

const CHAT = { members: 32, senders: 32, burst: 20, bursts: 32, except: false, deflate: false };
const ONE = { members: 1_000, senders: 1, burst: 1, bursts: 1, except: false, deflate: false };

/**
 * The cases, and the least ratios to other servers.
 *
 * @type {Record<string, Case & { targets: Record<string, number> }>}
 */
const CASES = {
  chat: { ...CHAT, targets: { ws: 200, crossws: 200, uws: 10, bun: 8 } },
  "chat-except": { ...CHAT, except: true, targets: { ws: 100, crossws: 100, uws: 5, bun: 4 } },
  "chat-deflate": { ...CHAT, bursts: 4, deflate: true, targets: { ws: 50 } },
  "1000-burst-1": { ...ONE, targets: { ws: 1.2 } },
  "1000-burst-20": { ...ONE, burst: 20, targets: { ws: 15 } },
  "100-burst-1": { ...ONE, members: 100, targets: {} },
  "10000-burst-1": { ...ONE, members: 10_000, targets: {} },
};

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    warmup: { type: "string", default: "1" },
    only: { type: "string", multiple: true },
    servers: { type: "string", default: Object.keys(SERVERS).join(",") },
    help: { type: "boolean", default: false },
  },
});

if (flags.help) {
  console.log(`node bench/fanout.mjs [--rounds 3] [--seconds 2] [--warmup 1] [--only chat ...] [--servers topic,ws]

cases: ${Object.keys(CASES).join(", ")}
servers: ${Object.keys(SERVERS).join(", ")}`);
  process.exit(0);
}

/**
 * @param {string} name
 * @param {Case} options
 */
const measure = async (name, options) => {
  const row = SERVERS[name];
  if (row === undefined) throw new Error(`no server "${name}"`);
  const args = [...row.args, ...(options.except ? ["except"] : []), ...(options.deflate ? ["deflate"] : [])];
  const command = row.command ?? commandFor(row.runtime);
  const server = new Child(row.script, { core: CORE.server, args, command });
  try {
    const port = await server.receive("listening");
    const load = new Child("lib/fanout-load.mjs", { core: CORE.load });
    try {
      await load.receive("ready");
      load.process.on("message", async (/** @type {any} */ message) => {
        if (message.cpu) load.send({ serverCpu: await server.ask("cpu") });
      });
      load.send({ ...options, port, seconds: Number(flags.seconds), warmup: Number(flags.warmup) });
      return await load.receive("result", 120_000);
    } finally {
      await load.stop();
    }
  } finally {
    await server.stop();
  }
};

console.log(`${os.cpus()[0]?.model}, Node ${process.versions.node}${canPin ? "" : ", not pinned to cores"}\n`);

const names = flags.servers.split(",");
/** @type {string[][]} */
const rows = [];
for (const [id, { targets, ...options }] of Object.entries(CASES)) {
  if (flags.only && !flags.only.some((only) => id.includes(only))) continue;
  /** @type {Map<string, any[]>} */
  const results = new Map();
  for (let round = 0; round < Number(flags.rounds); round++)
    // Each round begins with another server.
    for (const name of [...names.slice(round % names.length), ...names.slice(0, round % names.length)]) {
      // Where a case has no target for a server, that server is not measured.
      if (name !== "topic" && name !== "loop" && targets[name] === undefined) continue;
      if (name === "uws" && process.env.UWS === undefined) continue;
      try {
        results.set(name, [...(results.get(name) ?? []), await measure(name, options)]);
      } catch (error) {
        if (error instanceof MissingRuntime) continue;
        console.error(`${id}, ${name}: ${error}`);
        process.exitCode = 1;
      }
    }
  const middle = (/** @type {string} */ name, /** @type {string} */ what) =>
    median((results.get(name) ?? []).map((result) => result[what]));
  for (const [name, all] of results) {
    const [wall, cpu] = [middle(name, "perSecond"), middle(name, "perCpuSecond")];
    const ratios = (results.get("topic") ?? []).map((result, i) => result.perCpuSecond / all[i]?.perCpuSecond);
    rows.push([
      id,
      name,
      short(wall),
      short(cpu),
      percent(middle(name, "loadCpu")),
      ...(name === "topic"
        ? ["", "", ""]
        : [
            (middle("topic", "perSecond") / wall).toFixed(1),
            `${median(ratios).toFixed(1)} (${Math.min(...ratios).toFixed(1)}–${Math.max(...ratios).toFixed(1)})`,
            targets[name] === undefined ? "" : `≥ ${targets[name]}`,
          ]),
    ]);
  }
}
console.log(
  table(
    ["case", "server", "deliveries/s", "of server CPU", "load CPU", "topic/it", "topic/it of CPU (range)", "target"],
    rows,
  ),
);
