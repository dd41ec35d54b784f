/**
 * Runs the suite against a host in another process. The process of the host uses this module; the {@link
 * ConformanceHost} in the process of the test runner drives it by HTTP requests, for each of which the host needs only
 * the URL and a text response.
 */

import type { Awaitable, Capabilities, WebSockOptions } from "websock-js";
import type { Scenario } from "./host.ts";
import { type Action, actOn, openGate, reportOf, type Scripted, whenTerminated } from "./script.ts";

/** The controls that the host's process offers. */
export interface RemoteControls {
  /** What the host can do. */
  readonly capabilities: Capabilities;
  /** Moves the clock forward, if the host accepts one. */
  readonly advance?: (ms: number) => void;
  /** Closes (1001) or drains (1012) all connections, without waiting until they are closed. */
  readonly shutdown?: (code: 1001 | 1012) => void;
  /** Stops the host's own server, without waiting until it has stopped. */
  readonly stop?: () => void;
  /** Starts a new server after a shutdown or a stop, and returns its port. */
  readonly renew?: () => Awaitable<number>;
}

const partsOf = (url: string): { readonly command: string; readonly id: string; readonly query: URLSearchParams } => {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const [, command = "", id = ""] = pathname.split("/");
  return { command, id, query: searchParams };
};

/** The path and query of the upgrade request for a scenario. `id` identifies the connection in later requests. */
export const connectPath = (id: string, scenario: Scenario): string =>
  `/connect/${id}?${new URLSearchParams({ scenario: JSON.stringify(scenario) })}`;

/**
 * Returns the arguments of `upgrade` for a request to {@link connectPath}; `undefined` for a request to {@link
 * control}.
 */
export const scenarioOf = (
  url: string,
): { readonly arg: Scripted; readonly options: WebSockOptions | undefined } | undefined => {
  const { command, id, query } = partsOf(url);
  if (command !== "connect") return undefined;
  const { script, options } = JSON.parse(query.get("scenario")!) as Scenario;
  return { arg: { id, script }, options };
};

/**
 * Executes a request of the suite that is not an upgrade request, and returns the JSON to respond with.
 *
 * @param url the URL of the request
 * @throws Error for an unknown request
 */
export const control = async (url: string, controls: RemoteControls): Promise<string> => {
  const { command, id, query } = partsOf(url);
  const { capabilities, advance, shutdown, stop, renew } = controls;
  const run: Readonly<Record<string, () => unknown>> = {
    host: () => ({
      capabilities,
      advance: advance !== undefined,
      shutdown: shutdown !== undefined,
      stop: stop !== undefined,
    }),
    report: () => reportOf(id),
    terminated: () => whenTerminated(id),
    gate: () => openGate(id),
    act: () => actOn(id, JSON.parse(query.get("action")!) as Action),
    advance: () => advance?.(Number(query.get("ms"))),
    shutdown: () => shutdown?.(query.get("code") === "1012" ? 1012 : 1001),
    stop: () => stop?.(),
    renew: () => renew?.(),
  };
  if (!Object.hasOwn(run, command)) throw new Error(`the conformance suite has no request "${command}"`);
  return JSON.stringify((await run[command]!()) ?? null);
};
