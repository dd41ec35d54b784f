import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { upgrade } from "websock-js";
import { type Attachment, attach, capabilities } from "websock-js/node";
import { ManualClock } from "websock-js/testing";
import {
  type ConformanceHost,
  casesFor,
  openGate,
  reportOf,
  type Scenario,
  ScriptedHandler,
  whenTerminated,
} from "../../src/testing/conformance/index.ts";
import { connectWs } from "../support/ws-conformance-client.ts";

const clock = new ManualClock();
const scenarios = new Map<string, Scenario>();
let server: http.Server;
let sockets: Attachment;

/** A server of its own for each case: `shutdown` ends all of its connections for good. */
const serve = async (): Promise<string> => {
  server = http.createServer((request) => {
    const id = request.url!.slice(1);
    const { script, options } = scenarios.get(id)!;
    upgrade(request, ScriptedHandler, { id, script }, options);
  });
  sockets = attach(server, { clock, onError: () => undefined });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
};

let url = "";
beforeAll(async () => {
  url = await serve();
});

const stop = async (): Promise<void> => {
  server.close();
  const closing = sockets.close();
  clock.advance(60_000);
  await closing;
};
afterAll(stop);

const host: ConformanceHost = {
  capabilities,
  connect: async (scenario) => {
    const id = crypto.randomUUID();
    scenarios.set(id, scenario);
    const client = await connectWs(`${url}/${id}`);
    return {
      client,
      report: async () => reportOf(id),
      terminated: () => whenTerminated(id),
      openGate: () => openGate(id),
    };
  },
  advance: (ms) => clock.advance(ms),
  shutdown: (code) => void (code === 1001 ? sockets.close() : sockets.drain()),
};

for (const { name, needs = [], run } of casesFor(host)) {
  test(name, async () => {
    await run(host);
    if (!needs.includes("shutdown")) return;
    await stop();
    url = await serve();
  });
}
