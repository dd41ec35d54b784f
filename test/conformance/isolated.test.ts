/** The suite with the handler isolated: its callbacks run in two workers. */
import http from "node:http";
import { BroadcastChannel } from "node:worker_threads";
import { afterAll } from "vitest";
import { isolate, isolatedCapabilities } from "websock-js/isolate";
import { capabilities } from "websock-js/node";
import { testPubSub } from "websock-js/testing";
import { conformOnNode, type Scripts } from "../support/conformance-on-node.ts";
import { connectWs } from "../support/ws-conformance-client.ts";

const query = `?${crypto.randomUUID()}`;
const handler = isolate(new URL(`../hosts/isolated.mjs${query}`, import.meta.url), {
  workers: 2,
  nice: 0,
  pubsub: testPubSub(),
});

const channel = new BroadcastChannel(query);
const answers = new Map<number, (result: unknown) => void>();
channel.onmessage = (event: unknown) => {
  const { number, result } = (event as { data: { number: number; result: unknown } }).data;
  answers.get(number)?.(result);
  answers.delete(number);
};
afterAll(async () => {
  channel.close();
  await handler.close();
});

let requests = 0;
const ask = <Answer>(request: object): Promise<Answer> =>
  new Promise((resolve) => {
    const number = ++requests;
    answers.set(number, resolve as (result: unknown) => void);
    channel.postMessage({ ...request, number });
  });

const scripts: Scripts = {
  handler: handler as unknown as Scripts["handler"],
  report: (id) => ask({ ask: "report", id }),
  terminated: (id) => ask({ ask: "terminated", id }),
  openGate: (id) => ask({ ask: "openGate", id }),
  act: (id, action) => ask({ ask: "act", id, action }),
};

conformOnNode(
  (listener) => http.createServer(listener),
  (port, path, offersCompression) => connectWs(`ws://127.0.0.1:${port}${path}`, offersCompression),
  isolatedCapabilities(capabilities),
  scripts,
);
