/** Runs the conformance suite against a server of Node's. */
import type { RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { upgrade } from "websock-js";
import { type Attachment, attach, capabilities } from "websock-js/node";
import { ManualClock } from "websock-js/testing";
import {
  type ConformanceClient,
  type ConformanceHost,
  casesFor,
  openGate,
  reportOf,
  type Scenario,
  ScriptedHandler,
  whenTerminated,
} from "../../src/testing/conformance/index.ts";

type Server = Parameters<typeof attach>[0];

export const conformOnNode = (
  createServer: (listener: RequestListener) => Server,
  connect: (port: number, path: string) => Promise<ConformanceClient>,
): void => {
  const clock = new ManualClock();
  const scenarios = new Map<string, Scenario>();
  let server: Server;
  let sockets: Attachment;

  /** A server of its own for each case that needs one: `shutdown` ends all of its connections for good. */
  const serve = async (): Promise<number> => {
    server = createServer((request) => {
      const id = request.url!.slice(1);
      const { script, options } = scenarios.get(id)!;
      upgrade(request, ScriptedHandler, { id, script }, options);
    });
    sockets = attach(server, { clock, onError: () => undefined });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return (server.address() as AddressInfo).port;
  };

  let port = 0;
  beforeAll(async () => {
    port = await serve();
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
      return {
        client: await connect(port, `/${id}`),
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
      port = await serve();
    });
  }
};
