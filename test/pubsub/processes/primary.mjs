/** The primary of node:cluster: forks workers that run node.mjs, and passes the messages of its parent on to them. */
import cluster from "node:cluster";
import { fileURLToPath } from "node:url";
import { setupPrimary } from "websock-js/pubsub/cluster";

const [config = "{}", count = "2"] = process.argv.slice(2);

cluster.setupPrimary({ exec: fileURLToPath(new URL("node.mjs", import.meta.url)), args: [config] });
setupPrimary();

/** @type {import("node:cluster").Worker[]} */
const workers = [];
for (let index = 0; index < Number(count); index++) {
  const worker = cluster.fork();
  workers.push(worker);
  worker.on("message", (message) => {
    if ("id" in message || "listening" in message) process.send({ worker: index, pid: worker.process.pid, ...message });
  });
}
process.on("message", ({ worker, ...message }) => workers[worker]?.send(message));
process.on("disconnect", () => process.exit());
