/**
 * A node of the backplane over NATS. It prints what the link is told, and closes the backplane and the connection when
 * it receives `end`, or, with the argument `end-when-away`, when the server is lost. Then the process must exit.
 */
import { connect } from "@nats-io/transport-node";
import { natsBackplane } from "websock-js/pubsub/nats";

const [servers, mode] = process.argv.slice(2);

const connection = await connect({ servers, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
const end = async () => {
  await backplane.close();
  await connection.close();
  console.log("closed");
};
const backplane = natsBackplane({ connection, prefix: "app" }).connect({
  node: "child",
  receive: (channel, bytes) => {
    const text = new TextDecoder().decode(bytes);
    console.log(`received ${channel} ${text}`);
    if (text === "end") void end();
  },
  up: () => {
    console.log("up");
    backplane.publish("n:child", new TextEncoder().encode("probe"), (ok) => console.log(`settled ${ok}`));
  },
  away: (_cause, forever) => {
    console.log(`away ${forever}`);
    if (mode === "end-when-away") void end();
  },
  warn: (message) => console.log(`warning ${message}`),
});
await backplane.subscribe(["n:child", "t:a"]);
console.log("listening 0");
