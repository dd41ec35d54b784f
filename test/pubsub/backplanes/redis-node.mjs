/**
 * A process with one node, for tests that look at the whole process: `node redis-node.mjs <client> <port>`. It writes
 * what its link is told, and executes the commands `publish`, `close` and `end` on its stdin.
 */
import { createInterface } from "node:readline";
import { redisBackplane } from "websock-js/pubsub/redis";

const [name, port] = [process.argv[2], Number(process.argv[3])];
const say = (line) => process.stdout.write(`${line}\n`);

const CLIENTS = {
  redis: async () => {
    const { createClient } = await import("redis");
    const client = createClient({ socket: { host: "127.0.0.1", port, reconnectStrategy: 50 } });
    client.connect().catch(() => say("the client has given up"));
    return [client, () => client.destroy()];
  },
  ioredis: async () => {
    const { Redis } = await import("ioredis");
    const client = new Redis({ host: "127.0.0.1", port, retryStrategy: () => 50, disconnectTimeout: 50 });
    return [client, () => client.disconnect()];
  },
  iovalkey: async () => {
    const { Redis } = await import("iovalkey");
    const client = new Redis({ host: "127.0.0.1", port, retryStrategy: () => 50, disconnectTimeout: 50 });
    return [client, () => client.disconnect()];
  },
};

// No listener for the client's errors.
const [client, end] = await CLIENTS[name]();
const connection = redisBackplane({ client, prefix: "process" }).connect({
  node: "n",
  receive: (channel, bytes) => say(`received ${channel} ${new TextDecoder().decode(bytes)}`),
  up: () => say("up"),
  away: (cause, forever) => say(`away ${forever} ${cause}`),
  warn: (message) => say(`warn ${message}`),
});
await Promise.race([connection.subscribe(["x"]), new Promise((resolve) => setTimeout(resolve, 0))]);

const commands = createInterface({ input: process.stdin });
commands.on("line", async (line) => {
  if (line === "publish") connection.publish("x", new TextEncoder().encode("hello"), (ok) => say(`settled ${ok}`));
  if (line === "close") {
    await connection.close();
    say("closed");
  }
  if (line === "end") {
    end();
    commands.close();
    process.stdin.destroy();
  }
});
say("started");
