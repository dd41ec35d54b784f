/**
 * Runs the conformance suite against a host in another runtime: `packages/websock-conformance/src/handlers/remote.ts`
 * is its other half.
 */
import { afterAll, test } from "vitest";
import {
  type ConformanceHost,
  casesFor,
  connectPath,
  type Report,
} from "../../packages/websock-conformance/src/handlers/index.ts";
import type { Capabilities } from "../../src/capabilities.ts";
import type { ConnectClient } from "./connect-client.ts";
import { haveRuntime, type RuntimeName, startProgram } from "./runtimes.ts";
import { connectWs } from "./ws-conformance-client.ts";

/** Cases that the host is known to fail, selected by their name or a pattern, and the reason why we cannot fix them. */
export type Deviations = readonly (readonly [name: string | RegExp, reason: string])[];

export interface RemoteConformance {
  readonly runtime: RuntimeName;
  /** The program that serves the host, as a path relative to the root of the repository. */
  readonly program: string;
  /** Starts the program. Default: runs it by its path. */
  readonly start?: () => Promise<{ readonly port: number; stop(): Promise<void> }>;
  readonly args?: readonly string[];
  readonly connect?: ConnectClient;
  readonly deviations?: Deviations;
}

interface Told {
  readonly capabilities: Capabilities;
  readonly advance: boolean;
  readonly shutdown: boolean;
  readonly stop: boolean;
}

const byWs: ConnectClient = (port, path, offersCompression) =>
  connectWs(`ws://127.0.0.1:${port}${path}`, offersCompression);

export const conformRemotely = async ({
  runtime,
  program,
  args = [],
  start = () => startProgram(runtime, program, { args }),
  connect = byWs,
  deviations = [],
}: RemoteConformance): Promise<void> => {
  if (!haveRuntime(runtime)) {
    test.skip(`${runtime} is not installed`);
    return;
  }
  const { port: controlPort, stop } = await start();
  afterAll(stop);
  let port = controlPort;

  const ask = async <Answer = void>(request: string): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${controlPort}/${request}`);
    const body = await response.text();
    if (!response.ok) throw new Error(`${request}: ${response.status} ${body}`);
    return JSON.parse(body) as Answer;
  };

  const told = await ask<Told>("host");
  // The controls and the connections may have different ports.
  if (told.shutdown) port = await ask<number>("renew");
  const host: ConformanceHost = {
    capabilities: told.capabilities,
    connect: async (scenario) => {
      const id = crypto.randomUUID();
      return {
        client: await connect(port, connectPath(id, scenario), scenario.offersCompression),
        report: () => ask<Report>(`report/${id}`),
        terminated: () => ask(`terminated/${id}`),
        openGate: () => ask(`gate/${id}`),
        act: (action) => ask(`act/${id}?${new URLSearchParams({ action: JSON.stringify(action) })}`),
      };
    },
    ...(told.advance && { advance: (ms: number) => ask(`advance?ms=${ms}`) }),
    ...(told.shutdown && { shutdown: (code: 1001 | 1012) => ask(`shutdown?code=${code}`) }),
    ...(told.stop && { stop: () => ask("stop") }),
  };

  const cases = casesFor(host);
  for (const { name, needs = [], run } of cases) {
    const reason = deviations.find(([known]) => (typeof known === "string" ? known === name : known.test(name)))?.[1];
    const body = async (): Promise<void> => {
      try {
        await run(host);
      } finally {
        if (needs.includes("shutdown") || needs.includes("stop")) port = await ask<number>("renew");
      }
    };
    // If a deviation passes, its test fails: it must then be removed from the list.
    if (reason === undefined) test(name, body);
    else test.fails(`${name} (${reason})`, { timeout: 2_000 }, body);
  }
  for (const [known] of deviations) {
    if (!cases.some(({ name }) => (typeof known === "string" ? known === name : known.test(name)))) {
      test(`${known}`, () => Promise.reject(new Error("this deviation matches no case")));
    }
  }
};
