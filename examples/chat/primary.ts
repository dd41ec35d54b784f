/** The primary process of several nodes. It starts the engine, and a worker for each node. All listen on one port. */
import cluster from "node:cluster";
import { once } from "node:events";
import { setupPrimary } from "websock-js/pubsub/cluster";
import { startEngine } from "./engine.ts";
import { engine, nodes } from "./options.ts";

let isClosing = false;

/** Starts a node, waits until it listens, and starts it again whenever it ends. */
const startNode = async (number: number): Promise<void> => {
  const worker = cluster.fork({ CHAT_NODE: number, ENGINE_URL: url });
  await Promise.race([once(worker, "listening"), once(worker, "exit")]);
  if (isClosing) return;
  if (worker.isDead()) process.exit(1); // the node has printed why
  worker.once("exit", () => {
    if (!isClosing) void startNode(number);
  });
};

/** Each node closes its connections and ends. When the last one has ended, nothing keeps this process running. */
const shutDown = (): void => {
  isClosing = true;
  for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGTERM");
};

for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, shutDown);

const url = engine === "cluster" ? "" : await startEngine(engine);
cluster.setupPrimary({ serialization: "advanced" });
if (engine === "cluster") setupPrimary();
for (let number = 1; number <= nodes && !isClosing; number++) await startNode(number);
