/**
 * The half of the suite that runs where the host runs. The other half is a {@link ConformanceHost} in another process,
 * which drives it with requests: whatever a host does with those, it needs nothing but their URL and a text to answer.
 */

import type { Capabilities } from "../../capabilities.ts";
import type { WebSockOptions } from "../../options.ts";
import type { Awaitable } from "../../websock.ts";
import type { Scenario } from "./host.ts";
import { type Action, actOn, openGate, reportOf, type Scripted, whenTerminated } from "./script.ts";

/** What the program that serves the host lets be done to it. */
export interface RemoteControls {
  readonly capabilities: Capabilities;
  /** Lets time pass, where the host takes a clock. */
  readonly advance?: (ms: number) => void;
  /** Closes every connection, or drains them; does not wait until they are gone. */
  readonly shutdown?: (code: 1001 | 1012) => void;
  /** Stops the host's own server; does not wait until it has stopped. */
  readonly stop?: () => void;
  /** Begins anew after a shutdown or a stop; returns the port for connections from now on. */
  readonly renew?: () => Awaitable<number>;
}

const partsOf = (url: string): { readonly command: string; readonly id: string; readonly query: URLSearchParams } => {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const [, command = "", id = ""] = pathname.split("/");
  return { command, id, query: searchParams };
};

/** Where a client connects to for this scenario. */
export const connectPath = (id: string, scenario: Scenario): string =>
  `/connect/${id}?${new URLSearchParams({ scenario: JSON.stringify(scenario) })}`;

/** What a client's request asks for: what to upgrade with. `undefined`: it is a request for {@link control}. */
export const scenarioOf = (
  url: string,
): { readonly arg: Scripted; readonly options: WebSockOptions | undefined } | undefined => {
  const { command, id, query } = partsOf(url);
  if (command !== "connect") return undefined;
  const { script, options } = JSON.parse(query.get("scenario")!) as Scenario;
  return { arg: { id, script }, options };
};

/**
 * Does what a request says, and returns what to answer it, as JSON.
 *
 * @throws Error for what is no request of the suite
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
