/**
 * Isolated handlers in the runtime that runs this script: clients in memory exchange messages with workers. Prints a
 * line for each step that has worked, and ends.
 */
import assert from "node:assert/strict";
import { CallbackTimeout, isolate, WorkerExited } from "websock-js/isolate";
import { PubSub } from "websock-js/pubsub";
import { connect } from "websock-js/testing";

const pubsub = new PubSub();
const errors = [];
const url = new URL("./isolate-handler.mjs", import.meta.url);
const handler = isolate(url, {
  workers: 2,
  maxCallbackTime: 500,
  pubsub,
  onWorkerError: (error) => errors.push(error),
});
/** Sends a command to the handler. */
const command = (client, name, argument) => client.send(JSON.stringify([name, argument]));
const received = async (client) => (await client.receive()).data;

const [one, two] = [await connect(handler), await connect(handler)];
assert.deepEqual(handler.stats.connections, [1, 1]);
for (const [client, name] of [
  [one, "echo"],
  [two, "async"],
]) {
  for (let i = 0; i < 100; i++) command(client, name, i);
  for (let i = 0; i < 100; i++) assert.equal(await received(client), String(i));
}
one.send(new Uint8Array(100_000).fill(7));
assert.deepEqual(new Uint8Array(await received(one)), new Uint8Array(100_000).fill(7));
console.log("messages");

for (const client of [one, two]) {
  command(client, "join", "room");
  assert.equal(await received(client), "joined");
}
while (pubsub.topic("room").size < 2) await new Promise((resolve) => setTimeout(resolve, 1));
pubsub.topic("room").publish({ opcode: "text", data: "from the main thread" });
for (const client of [one, two]) assert.equal(await received(client), "from the main thread");
command(one, "ordered", "room");
for (const text of ["a", "b", "c", "d"]) assert.equal(await received(one), text);
for (const text of ["a", "c"]) assert.equal(await received(two), text);
command(two, "broadcast", ["room", { n: 1 }]);
for (const client of [one, two]) assert.equal(await received(client), 'info {"n":1}');
console.log("topics");

command(one, "exit", 3);
const exited = await one.ended;
assert.equal(exited.code, 1011);
assert.ok(exited.reason.error instanceof WorkerExited);
command(two, "echo", "still here");
assert.equal(await received(two), '"still here"');
while (handler.stats.workers < 2) await new Promise((resolve) => setTimeout(resolve, 10));
console.log("exit");

const three = await connect(handler, { shared: new Int32Array(new SharedArrayBuffer(4)) });
command(three, "loop");
const timedOut = await three.ended;
assert.equal(timedOut.code, 1011);
assert.ok(timedOut.reason.error instanceof CallbackTimeout);
command(two, "echo", "still here");
assert.equal(await received(two), '"still here"');
assert.deepEqual(
  errors.map(({ name }) => name),
  ["WorkerExited", "CallbackTimeout"],
);
console.log("loop");

for (const name of ["maxHeapSize", "fullsweepAfter"]) {
  if (typeof Bun === "undefined" && typeof Deno === "undefined") break;
  assert.throws(() => isolate(url, { [name]: 64 }), /is only possible on Node/);
}
await handler.close();
assert.equal((await two.ended).code, 1001);
console.log("closed");
