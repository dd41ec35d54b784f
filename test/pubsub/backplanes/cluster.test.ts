/** The backplane between the workers of node:cluster. */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { clusterBackplane, setupPrimary } from "websock-js/pubsub/cluster";
import { backplaneCases } from "websock-js/testing";
import { codedError, codedTypeError } from "../../../src/error-codes.ts";
import { type BackplaneNodes, startBackplaneNodes } from "../../support/backplane-nodes.ts";
import { haveRuntime } from "../../support/runtimes.ts";
import { runScript } from "../../support/script.ts";
import { expectToldOfLosses, recordUp } from "./recorder.ts";

describe.each([
  ["node", "json"],
  ["node", "advanced"],
  ["bun", "advanced"],
  ["deno", "advanced"],
] as const)("the contract, between a primary process and two workers of %s, %s", (runtime, serialization) => {
  if (runtime !== "node" && !haveRuntime(runtime)) return test.skip("is not installed");
  let nodes: BackplaneNodes;
  beforeAll(async () => {
    nodes = await startBackplaneNodes("cluster", { runtime, serialization });
  });
  afterAll(async () => {
    await nodes.stop();
    expect(nodes.stderr()).toBe("");
  });
  let next = 0;
  for (const { name, run } of backplaneCases({ backplane: () => nodes.in(next++ % 3) })) test(name, run);
});

test("a worker that is killed does not disturb the others", async () => {
  const nodes = await startBackplaneNodes("cluster");
  onTestFinished(nodes.stop);
  const [primary, killed, other] = await Promise.all([0, 1, 2].map((agent) => recordUp(nodes.in(agent))));
  await Promise.all([primary!, killed!].map(({ connection }) => connection.subscribe(["a"])));
  nodes.kill(1);
  for (let i = 0; i < 100; i++) other!.publish("a", "x");
  await primary!.until(() => primary!.received.length === 100);
  await other!.until(() => other!.settled.length === 100);
  expect(new Set(other!.settled)).toEqual(new Set([true]));
  expect([primary!.events, other!.events, nodes.stderr()]).toEqual([["up"], ["up"], ""]);
});

test.each(["json", "advanced"] as const)(
  "a worker that is blocked loses messages beyond the limit, and finds out: %s",
  async (serialization) => {
    const nodes = await startBackplaneNodes("cluster", { serialization, options: { maxBacklog: 100_000 } });
    const folder = await mkdtemp(join(tmpdir(), "websock-js-"));
    onTestFinished(async () => {
      await nodes.stop();
      await rm(folder, { recursive: true });
    });
    const [publisher, slow] = await Promise.all([recordUp(nodes.in(0)), recordUp(nodes.in(1))]);
    await slow.connection.subscribe(["a"]);
    nodes.run(1, "block", join(folder, "end"));
    const count = 1_000;
    for (let i = 0; i < count; i++) publisher.publish("a", String(i).padEnd(4096));
    await publisher.until(() => publisher.settled.length === count);
    writeFileSync(join(folder, "end"), "");
    await expectToldOfLosses(publisher, slow);
  },
);

/** Of scripts: a link that prints, and the two sides. */
const SCRIPT = `
  import cluster from "node:cluster";
  import { once } from "node:events";
  import { clusterBackplane, setupPrimary } from "websock-js/pubsub/cluster";
  const link = {
    node: String(process.pid),
    receive: (channel, bytes) => console.log("received", Buffer.from(bytes).toString()),
    up: () => console.log("up"),
    away: (cause, forever) => console.log("away", String(cause), forever),
    warn: console.log,
  };
`;

test("a worker that disconnects from the primary process is away forever", async () => {
  const { code, stdout, stderr } = await runScript(`${SCRIPT}
    if (cluster.isPrimary) {
      setupPrimary();
      cluster.fork();
    } else {
      link.up = () => {
        connection.publish("a", new Uint8Array(1), (ok) => console.log("settled", ok));
        cluster.worker.disconnect();
        process.once("disconnect", () => {
          connection.publish("a", new Uint8Array(1), (ok) => console.log("settled", ok));
          void connection.subscribe(["a"]);
          setImmediate(() => clusterBackplane().connect({ ...link, node: "late" }));
        });
      };
      const connection = clusterBackplane().connect(link);
    }
  `);
  const away = "away Error: the IPC channel to the primary process is closed (WEBSOCK_ENGINE_AWAY) true";
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  // The first publish may have been sent before the end.
  expect(stdout.replace("settled true", "settled false").split("\n").sort()).toEqual(
    ["", away, away, "settled false", "settled false"].sort(),
  );
});

test("setupPrimary() can be called after the workers have connected; other messages are ignored", async () => {
  const result = await runScript(`${SCRIPT}
    if (cluster.isPrimary) {
      const worker = cluster.fork();
      const [message] = await once(worker, "message");
      console.log(Object.keys(message));
      const strange = [1, "x", {}, [], { "websock-js": 1 }, { "websock-js": {} }, { "websock-js": { node: "x" } }];
      for (const message of strange) worker.send(message);
      setupPrimary();
      try {
        setupPrimary();
      } catch (error) {
        console.log(error.message);
      }
    } else {
      link.up = () => {
        console.log("up");
        const strange = [1, "x", {}, [], { "websock-js": 1 }, { "websock-js": { node: "x" } }];
        for (const message of strange) process.send(message);
        connection.publish(\`n:\${link.node}\`, Buffer.from("hello"), (ok) => console.log("settled", ok));
      };
      link.receive = async () => {
        console.log("received");
        await connection.close();
        console.log(counts(), before);
        process.disconnect();
      };
      // Those of node:cluster itself.
      const counts = () => ["message", "disconnect"].map((name) => process.listenerCount(name)).join();
      const before = counts();
      const connection = clusterBackplane().connect(link);
      void connection.subscribe([\`n:\${link.node}\`]);
    }
  `);
  expect({ ...result, stdout: result.stdout.split("\n").sort() }).toEqual({
    code: 0,
    stdout: [
      "",
      "[ 'websock-js' ]",
      "setupPrimary() was called before (WEBSOCK_BACKPLANE_SETUP)",
      "up",
      "settled true",
      "received",
      "1,1 1,1",
    ].sort(),
    stderr: "",
  });
});

test("a publish is settled when the primary process reads, and not while it is blocked", async () => {
  const { code, stdout, stderr } = await runScript(`${SCRIPT}
    if (cluster.isPrimary) {
      const memory = new Int32Array(new SharedArrayBuffer(4));
      setupPrimary();
      const worker = cluster.fork();
      // Blocked until the worker has written to stderr of its own: until a file exists.
      const { existsSync } = await import("node:fs");
      worker.on("message", ({ file }) => {
        if (file === undefined) return;
        worker.send("blocking");
        setImmediate(() => {
          while (!existsSync(file)) Atomics.wait(memory, 0, 0, 5);
        });
      });
    } else {
      const { writeFileSync } = await import("node:fs");
      const file = process.argv[1] + ".end";
      const settled = [];
      link.up = () => process.send({ file });
      process.on("message", (message) => {
        if (message !== "blocking") return;
        const publish = (left) => {
          if (left === 0) {
            console.log("unsettled", settled.length < 200);
            writeFileSync(file, "");
            return;
          }
          connection.publish("a", new Uint8Array(100_000), (ok) => {
            settled.push(ok);
            if (settled.length === 200) {
              console.log("settled", settled.every((ok) => ok));
              process.disconnect();
            }
          });
          setImmediate(publish, left - 1);
        };
        publish(200);
      });
      const connection = clusterBackplane().connect(link);
    }
  `);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "unsettled true\nsettled true\n", stderr: "" });
});

test("mistakes are explained", () => {
  expect(() => clusterBackplane()).toThrow(
    codedError(
      "WEBSOCK_BACKPLANE_SETUP",
      "this process is no worker of node:cluster; in the primary process, call setupPrimary() before",
    ),
  );
  expect(() => setupPrimary({ backlog: 1 } as object)).toThrow(
    'unknown option "backlog"; valid options are maxBacklog',
  );
  expect(() => setupPrimary({ maxBacklog: Number.NaN })).toThrow(
    codedTypeError("WEBSOCK_INVALID_OPTION", "maxBacklog must be a number of bytes, not NaN"),
  );
});
