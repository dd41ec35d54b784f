/** Runs the conformance suite against a server in this process. */
import type { IncomingMessage, RequestListener, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { type Awaitable, type Capabilities, upgrade, type WebSockOptions } from "websock-js";
import { type Attachment, attach, capabilities } from "websock-js/node";
import { ManualClock, testPubSub } from "websock-js/testing";
import {
  type Action,
  actOn,
  type ConformanceHost,
  casesFor,
  inOwnContext,
  openGate,
  type Report,
  reportOf,
  type Scenario,
  ScriptedHandler,
  setPubSub,
  whenTerminated,
} from "../../packages/websock-conformance/src/handlers/index.ts";
import type { Clock } from "../../src/session/clock.ts";
import type { ConnectClient } from "./connect-client.ts";

/** A server, which does not listen yet, and the attachment of its connections. */
export interface Listening {
  readonly server: Server;
  readonly sockets: Attachment;
}

/** Creates a server that upgrades each request with what `scenarioOf` returns for it. Its `onError` ignores errors. */
export type Serve = (scenarioOf: (request: IncomingMessage) => UpgradeOf, clock: Clock) => Listening;

/** The scripted handler, and what the tests ask of the place where its callbacks run. */
export interface Scripts {
  readonly handler: typeof ScriptedHandler;
  report(id: string): Promise<Report>;
  terminated(id: string): Promise<void>;
  openGate(id: string): Awaitable<void>;
  act(id: string, action: Action): Promise<string>;
}

/** The callbacks run in this thread. */
const scriptsHere: Scripts = {
  handler: ScriptedHandler,
  report: async (id) => reportOf(id),
  terminated: whenTerminated,
  openGate,
  act: actOn,
};

/** What `upgrade` is called with, apart from the request. */
export type UpgradeOf = readonly [
  handler: Scripts["handler"],
  arg: ScriptedHandler.Scripted,
  options: WebSockOptions | undefined,
];

/** Upgrades the request in an AsyncLocalStorage context of its own. */
export const upgradeScripted = (request: IncomingMessage, [handler, arg, options]: UpgradeOf): void =>
  inOwnContext(arg.id, () => upgrade(request, handler, arg, options));

export const conformOnNode = (
  createServer: (listener: RequestListener) => Parameters<typeof attach>[0],
  connect: ConnectClient,
  hostCapabilities: Capabilities = capabilities,
  scripts?: Scripts,
): void =>
  conformOn(
    hostCapabilities,
    (upgradeOf, clock) => {
      const server = createServer((request) => upgradeScripted(request, upgradeOf(request)));
      return { server: server as Server, sockets: attach(server, { clock, onError: () => undefined }) };
    },
    connect,
    scripts,
  );

export const conformOn = (
  capabilities: Capabilities,
  listen: Serve,
  connect: ConnectClient,
  scripts: Scripts = scriptsHere,
): void => {
  setPubSub(testPubSub());
  const clock = new ManualClock();
  const scenarios = new Map<string, Scenario>();
  let server: Server;
  let sockets: Attachment;

  /** Starts a server, and returns its port. It is replaced after each case that shuts it down, which is final. */
  const serve = async (): Promise<number> => {
    ({ server, sockets } = listen((request) => {
      const id = request.url!.slice(1);
      const { script, options } = scenarios.get(id)!;
      return [scripts.handler, { id, script }, options];
    }, clock));
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
        client: await connect(port, `/${id}`, scenario.offersCompression),
        report: () => scripts.report(id),
        terminated: () => scripts.terminated(id),
        openGate: () => scripts.openGate(id),
        act: (action) => scripts.act(id, action),
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
