/** What a host brings to the conformance suite. */

import type { Ability, Capabilities } from "../../capabilities.ts";
import type { WebSockOptions } from "../../options.ts";
import type { Awaitable } from "../../websock.ts";
import type { Action, Report, Script } from "./script.ts";

/** What the client got: a message, or the end with the close frame's code and text, `lost` if there was none. */
export type Got =
  | readonly [opcode: string, data: string]
  | readonly ["close", code: number | undefined, text: string]
  | readonly ["lost"];

/** A WebSocket client. It answers pings and close frames by itself, as clients do. */
export interface ConformanceClient {
  /** What came next; waits for it. Pings are not told. Binary data is told like text: one character an octet. */
  next(): Promise<Got>;
  send(opcode: "text" | "binary" | "ping" | "pong", data: string): void;
  /** Sends a close frame; no code: an empty one. */
  close(code?: number, text?: string): void;
  /** Is gone, without a close frame. */
  drop(): void;
  /** Stops to read, or begins again. */
  setReading(reads: boolean): void;
  /** How many pings it has answered. */
  readonly pings: number;
}

/** One connection: how the handler behaves, and with which options it is upgraded. */
export interface Scenario {
  readonly script: Script;
  readonly options?: WebSockOptions;
}

/** A connection of the scripted handler (`script.ts`), seen from both sides. */
export interface Connected {
  readonly client: ConformanceClient;
  /** What the callbacks have seen until now. */
  report(): Promise<Report>;
  /** Resolves when `terminate` has run. */
  terminated(): Promise<void>;
  /** Opens the gate that callbacks wait at. */
  openGate(): Awaitable<void>;
  /** Acts on the connection from outside of its callbacks; resolves with what `self` returned, or its error's name. */
  act(action: Action): Promise<string>;
}

/** A server under test. */
export interface ConformanceHost {
  readonly capabilities: Capabilities;
  connect(scenario: Scenario): Promise<Connected>;
  /** Lets time pass. A host that cannot leaves it out; then it really passes. */
  advance?(ms: number): Awaitable<void>;
  /** Closes every connection (1001), or drains them for a restart (1012). */
  shutdown?(code: 1001 | 1012): Awaitable<void>;
  /** Stops the host's own server in the way that closes its connections; does not wait until it has stopped. */
  stop?(): Awaitable<void>;
}

/** One case of the suite. */
export interface ConformanceCase {
  readonly name: string;
  /** What a host must be able to do for the case to make sense. */
  readonly needs?: readonly (Ability | "shutdown" | "stop" | "advance")[];
  /** What it must not be able to do: the case checks what is so instead. */
  readonly lacks?: readonly Ability[];
  /** Options that must have an effect on the host. */
  readonly honours?: readonly (keyof WebSockOptions)[];
  /** Options that must have none. */
  readonly ignores?: readonly (keyof WebSockOptions)[];
  run(host: ConformanceHost): Promise<void>;
}

/** Waits, turn by turn, until the callbacks have seen enough. `between`: what to do in each turn. */
export const eventually = async (
  { report }: Connected,
  enough: (report: Report) => boolean,
  between: () => unknown = () => undefined,
): Promise<void> => {
  while (!enough(await report())) {
    await between();
    await new Promise((resolve) => setTimeout(resolve));
  }
};

/** @throws Error if they differ */
export const equal = (actual: unknown, expected: unknown, what: string): void => {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`);
};

/** In `terminate`, nothing reaches the connection any more, and its signal says why. */
export const expectUnreachable = ({ ended }: Report, reason: string): void =>
  equal(ended, `false false false AbortError ${reason}`, "in terminate, self.send, push, stop, and self.signal.reason");
