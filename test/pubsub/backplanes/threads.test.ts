/** The backplane between threads. */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessagePort } from "node:worker_threads";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ThreadHub, threadsBackplane } from "websock-js/pubsub/threads";
import { backplaneCases } from "websock-js/testing";
import { codedTypeError } from "../../../src/error-codes.ts";
import { type BackplaneNodes, startBackplaneNodes } from "../../support/backplane-nodes.ts";
import { nextTick } from "../../support/promises.ts";
import { haveRuntime } from "../../support/runtimes.ts";
import { runScript, withImports } from "../../support/script.ts";
import { failOnUncaught } from "../../support/uncaught.ts";
import { expectToldOfLosses, record, recordUp } from "./recorder.ts";

failOnUncaught();

describe.each(["node", "bun", "deno"] as const)("the contract, between three threads of %s", (runtime) => {
  if (runtime !== "node" && !haveRuntime(runtime)) return test.skip("is not installed");
  let nodes: BackplaneNodes;
  beforeAll(async () => {
    nodes = await startBackplaneNodes("threads", { runtime });
  });
  afterAll(async () => {
    await nodes.stop();
    expect(nodes.stderr()).toBe("");
  });
  let next = 0;
  for (const { name, run } of backplaneCases({ backplane: () => nodes.in(next++ % 3) })) test(name, run);
});

describe("the contract, in one thread", () => {
  const hub = new ThreadHub();
  afterAll(() => hub.close());
  for (const { name, run } of backplaneCases({ backplane: () => threadsBackplane(hub.connect()) })) test(name, run);
});

test("the end of a thread does not disturb the others", async () => {
  const nodes = await startBackplaneNodes("threads");
  onTestFinished(nodes.stop);
  const [main, ended, other] = await Promise.all([0, 1, 2].map((agent) => recordUp(nodes.in(agent))));
  await Promise.all([main!, ended!].map(({ connection }) => connection.subscribe(["a"])));
  nodes.kill(1);
  other!.publish("a", "x");
  await main!.until(() => main!.received.length === 1);
  await other!.until(() => other!.settled.length === 1);
  expect([other!.settled, main!.events, nodes.stderr()]).toEqual([[true], ["up"], ""]);
});

test("a thread that is blocked loses messages beyond the limit, and finds out", async () => {
  const nodes = await startBackplaneNodes("threads", { options: { maxBacklog: 100_000 } });
  const folder = await mkdtemp(join(tmpdir(), "websock-js-"));
  onTestFinished(async () => {
    await nodes.stop();
    await rm(folder, { recursive: true });
  });
  const [publisher, slow] = await Promise.all([recordUp(nodes.in(0)), recordUp(nodes.in(1))]);
  await slow.connection.subscribe(["a"]);
  nodes.run(1, "block", join(folder, "end"));
  for (let i = 0; i < 300; i++) publisher.publish("a", String(i).padEnd(4096));
  await publisher.until(() => publisher.settled.length === 300);
  writeFileSync(join(folder, "end"), "");
  await expectToldOfLosses(publisher, slow);
});

test("a publish is settled when the thread of the hub has received it, and not while it is blocked", async () => {
  const memory = new Int32Array(new SharedArrayBuffer(4));
  const thread = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(
        withImports(`
          import { parentPort, workerData } from "node:worker_threads";
          import { ThreadHub } from "websock-js/pubsub/threads";
          const port = new ThreadHub().connect();
          parentPort.postMessage(port, [port]);
          parentPort.on("message", () => {
            parentPort.postMessage("blocked");
            Atomics.wait(workerData, 0, 0);
          });
        `),
      )}`,
    ),
    { workerData: memory },
  );
  onTestFinished(async () => void (await thread.terminate()));
  const next = (): Promise<unknown> => new Promise((resolve) => thread.once("message", resolve));
  const node = await recordUp(threadsBackplane((await next()) as MessagePort));
  thread.postMessage("block");
  await next();
  for (let i = 0; i < 10; i++) {
    node.publish("a", "x");
    await nextTick();
  }
  expect(node.settled).toEqual([]);
  Atomics.store(memory, 0, 1);
  Atomics.notify(memory, 0);
  await node.until(() => node.settled.length === 10);
  expect(node.settled).toEqual(Array(10).fill(true));
  // The thread of the hub ends.
  await thread.terminate();
  await node.until(() => node.events.length === 2);
  expect(node.events).toEqual(["up", "away forever"]);
  node.publish("a", "x");
  await node.until(() => node.settled.length === 11);
  expect(node.settled.at(-1)).toBe(false);
  await node.connection.close();
});

test("the end of the hub settles what is under way, once", async () => {
  const hub = new ThreadHub();
  const nodes = await Promise.all([1, 2].map(() => recordUp(threadsBackplane(hub.connect()))));
  nodes[0]!.publish("a", "x");
  hub.close();
  await Promise.all(nodes.map((node) => node.until(() => node.events.length === 2)));
  expect(nodes.map(({ events }) => events)).toEqual(Array(2).fill(["up", "away forever"]));
  await nodes[0]!.until(() => nodes[0]!.settled.length === 1);
  await Promise.all(nodes.map(({ connection }) => connection.close()));
  expect(nodes[0]!.settled).toEqual([false]);
});

test("what was published before close() arrives", async () => {
  const hub = new ThreadHub();
  const [one, two] = [await recordUp(threadsBackplane(hub.connect())), await recordUp(threadsBackplane(hub.connect()))];
  onTestFinished(() => hub.close());
  await two.connection.subscribe(["a"]);
  one.publish("a", "goodbye");
  await one.connection.close();
  await two.until(() => two.received.length === 1);
  expect([one.settled, two.received]).toEqual([[false], ["goodbye"]]);
});

test("neither the hub nor its ports keep the process alive", async () => {
  const result = await runScript(`
    import { ThreadHub, threadsBackplane } from "websock-js/pubsub/threads";
    const hub = new ThreadHub();
    const link = { node: "n", receive: () => {}, away: () => {}, warn: () => {}, up: () => console.log("up") };
    threadsBackplane(hub.connect()).connect(link);
    hub.connect();
    const waiting = setInterval(() => {}, 1000);
    link.up = () => clearInterval(waiting);
    process.on("exit", () => console.log("exit"));
  `);
  expect(result).toEqual({ code: 0, stdout: "exit\n", stderr: "" });
});

test("mistakes are explained", () => {
  expect(() => threadsBackplane({} as MessagePort)).toThrow(
    codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      "threadsBackplane() needs a MessagePort, created by connect() of a ThreadHub, not an object",
    ),
  );
  expect(() => new ThreadHub({ backlog: 1 } as object)).toThrow(
    'unknown option "backlog"; valid options are maxBacklog',
  );
  expect(() => new ThreadHub({ maxBacklog: -1 })).toThrow(
    codedTypeError("WEBSOCK_INVALID_OPTION", "maxBacklog must be a number of bytes, not -1"),
  );
  const hub = new ThreadHub();
  const backplane = threadsBackplane(hub.connect());
  record(backplane);
  expect(() => record(backplane)).toThrow("a port serves one PubSub");
  hub.close();
});
