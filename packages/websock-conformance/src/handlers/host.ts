/** The interface that a host implements to be tested by the conformance suite. */

import type { Awaitable, Capabilities, WebSockOptions } from "websock-js";
import type { Action, Report, Script } from "./script.ts";

/** A capability that a host has or lacks. */
export type Ability = {
  [Name in keyof Capabilities]: Capabilities[Name] extends boolean ? Name : never;
}[keyof Capabilities];

/**
 * What a client received: a message, a close frame with its code and reason text, or `lost` if the connection ended
 * without a close frame.
 */
export type Got =
  | readonly [opcode: string, data: string]
  | readonly ["close", code: number | undefined, text: string]
  | readonly ["lost"];

/** A WebSocket client. It answers pings and close frames by itself. */
export interface ConformanceClient {
  /**
   * Waits for and returns what is received next, except pings. Binary data is a string with one character for each
   * byte.
   */
  next(): Promise<Got>;
  /** Sends a message or control frame. For a binary message, `data` has one character for each byte. */
  send(opcode: "text" | "binary" | "ping" | "pong", data: string): void;
  /** Sends a close frame. Without `code`, its payload is empty. */
  close(code?: number, text?: string): void;
  /** Disconnects without sending a close frame. */
  drop(): void;
  /** Stops or resumes reading. */
  setReading(reads: boolean): void;
  /** The number of pings that the client has answered. */
  readonly pings: number;
}

/** The parameters of one connection. */
export interface Scenario {
  /** What the callbacks do. */
  readonly script: Script;
  /** The options of `upgrade`. */
  readonly options?: WebSockOptions;
  /** The client offers permessage-deflate. Default: `false`. */
  readonly offersCompression?: boolean;
}

/** A connection to the scripted handler, with access to both sides. */
export interface Connected {
  /** The client's side. */
  readonly client: ConformanceClient;
  /** Returns what the callbacks have seen so far. */
  report(): Promise<Report>;
  /** Resolves when `terminate` has run. */
  terminated(): Promise<void>;
  /** Lets the callbacks settle that wait because of `async: "gate"` in their script. */
  openGate(): Awaitable<void>;
  /**
   * Calls a method of the connection's `self` from outside its callbacks. Resolves with the return value, or with the
   * name of the error that it threw.
   */
  act(action: Action): Promise<string>;
}

/** The host under test. */
export interface ConformanceHost {
  /** What the host can do; determines the cases that apply. */
  readonly capabilities: Capabilities;
  /** Connects a client to the scripted handler. */
  connect(scenario: Scenario): Promise<Connected>;
  /** Moves the clock forward. Without this method, the cases that need it are skipped, and others wait in real time. */
  advance?(ms: number): Awaitable<void>;
  /** Closes all connections (1001), or drains them for a restart (1012). */
  shutdown?(code: 1001 | 1012): Awaitable<void>;
  /** Stops the host's own server in a way that closes its connections, without waiting until it has stopped. */
  stop?(): Awaitable<void>;
}

/** One case of the suite. */
export interface ConformanceCase {
  /** The name for the test runner. */
  readonly name: string;
  /** Capabilities and methods of the host that the case needs. */
  readonly needs?: readonly (Ability | "shutdown" | "stop" | "advance")[];
  /** Capabilities that the host must not have: the case checks the behaviour of hosts without them. */
  readonly lacks?: readonly Ability[];
  /** Options that must have an effect on the host. */
  readonly honours?: readonly (keyof WebSockOptions)[];
  /** Options that must have no effect on the host. */
  readonly ignores?: readonly (keyof WebSockOptions)[];
  /** Runs the case. Rejects if the host fails it. */
  run(host: ConformanceHost): Promise<void>;
}

/**
 * Waits until `enough` is true of the report, which is requested once per tick. `between` is called between two
 * requests.
 */
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

/** @throws Error if `actual` and `expected` differ when serialized as JSON */
export const equal = (actual: unknown, expected: unknown, what: string): void => {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: expected ${e}, got ${a}`);
};

/** Checks that in `terminate`, the methods of `self` returned `false`, and that its signal had the reason. */
export const expectUnreachable = ({ ended }: Report, reason: string): void =>
  equal(ended, `false false false AbortError ${reason}`, "in terminate, self.send, push, stop, and self.signal.reason");
