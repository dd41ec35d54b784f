/**
 * Nodes of a backplane in several workers, remotely controlled by JSON lines: see test/support/backplane-nodes.ts.
 *
 * backplane-nodes.mjs <cluster|threads> <options of the broker as JSON> [serialization of node:cluster]
 */
import cluster from "node:cluster";
import { existsSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { clusterBackplane, setupPrimary } from "../../dist/pubsub/backplanes/cluster.js";
import { ThreadHub, threadsBackplane } from "../../dist/pubsub/backplanes/threads.js";

const WORKERS = 2;

/** Runs commands in this process or thread. */
const agent = (backplaneFor, send) => {
  const connections = new Map();
  const run = {
    connect: ({ node, port }) => {
      connections.set(
        node,
        backplaneFor(port).connect({
          node,
          receive: (channel, bytes) =>
            send({ node, event: "receive", channel, bytes: Buffer.from(bytes).toString("base64") }),
          up: () => send({ node, event: "up" }),
          away: (cause, forever) => send({ node, event: "away", cause: String(cause), forever }),
          warn: (message) => send({ node, event: "warn", message }),
        }),
      );
      send({ node, event: "connected", maxBytes: connections.get(node).maxBytes });
    },
    publish: ({ node, channel, bytes, count, id }) => {
      const content = Buffer.from(bytes, "base64");
      for (let i = 0; i < count; i++) {
        connections.get(node).publish(channel, content, (ok) => send({ node, event: "answer", id, ok }));
      }
    },
    subscribe: ({ node, channels, id }) =>
      connections
        .get(node)
        .subscribe(channels)
        .then(() => send({ node, event: "answer", id })),
    unsubscribe: ({ node, channels }) => connections.get(node).unsubscribe(channels),
    reconnect: ({ node }) => connections.get(node).reconnect(),
    close: ({ node, id }) =>
      connections
        .get(node)
        .close()
        .then(() => send({ node, event: "answer", id })),
    /** Blocks the event loop until a file exists. */
    block: ({ file }) => {
      const memory = new Int32Array(new SharedArrayBuffer(4));
      while (!existsSync(file)) Atomics.wait(memory, 0, 0, 5);
    },
    disconnect: () => cluster.worker.disconnect(),
    exit: () => process.exit(),
  };
  return (commands) => {
    for (const command of commands) run[command.run](command);
  };
};

/**
 * Commands that come in one line are run in one event-loop tick. The first agent is this process or thread itself.
 *
 * @param prepare adds to a command what cannot be written as JSON
 */
const control = (agents, kill, prepare = (command) => command) => {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const commands = JSON.parse(line);
    for (const command of commands) if (command.run === "kill") kill(command.agent);
    for (const [index, run] of agents.entries()) {
      const chosen = commands.filter(({ run, agent }) => run !== "kill" && agent === index);
      if (chosen.length > 0) run(chosen.map(prepare));
    }
  });
  lines.on("close", () => process.exit());
};

// U+2028 would end a line for readline.
const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
const print = (event) => process.stdout.write(`${JSON.stringify(event).replace(/[\u007f-\uffff]/g, escaped)}\n`);
const ready = () => print({ node: "", event: "ready" });

const [mode, options, serialization = "json"] = process.argv.slice(2);

if (!isMainThread) {
  const run = agent(threadsBackplane, (event) => parentPort.postMessage(event));
  parentPort.on("message", run);
} else if (mode === "threads") {
  const hub = new ThreadHub(JSON.parse(options));
  const threads = Array.from({ length: WORKERS }, () => {
    const thread = new Worker(fileURLToPath(import.meta.url));
    thread.on("message", print);
    thread.on("error", (error) => print({ node: "", event: "error", message: String(error.stack) }));
    return thread;
  });
  control(
    [
      agent(threadsBackplane, print),
      ...threads.map((thread) => (commands) => {
        thread.postMessage(
          commands,
          commands.flatMap(({ port = [] }) => port),
        );
      }),
    ],
    (index) => threads[index - 1].terminate(),
    (command) => (command.run === "connect" ? { ...command, port: hub.connect() } : command),
  );
  ready();
} else if (cluster.isPrimary) {
  cluster.setupPrimary({ serialization });
  setupPrimary(JSON.parse(options));
  // A message is lost if a worker does not listen yet.
  let listening = 0;
  const workers = Array.from({ length: WORKERS }, () => {
    const worker = cluster.fork();
    worker.on("message", ({ remote }) => {
      if (remote === undefined) return;
      if (remote.event !== "listening") print(remote);
      else if (++listening === WORKERS) ready();
    });
    return worker;
  });
  const local = agent(clusterBackplane, print);
  control(
    [local, ...workers.map((worker) => (commands) => worker.send({ remote: commands }, () => undefined))],
    (index) => process.kill(workers[index - 1].process.pid, "SIGKILL"),
  );
} else {
  const run = agent(clusterBackplane, (event) => {
    if (process.connected) process.send({ remote: event }, undefined, undefined, () => undefined);
    else print(event);
  });
  process.on("message", (message) => {
    if (message.remote !== undefined) run(message.remote);
  });
  process.send({ remote: { node: "", event: "listening" } });
}
