/**
 * The handler that the conformance suite runs. What its callbacks do is a script that comes with the connection, so that
 * it can run in another process and another runtime (see `remote.ts`); what they see is kept as a report.
 */

import { later } from "../../adapters/system-clock.ts";
import type { ControlMessage, DataMessage, OutMessage } from "../../message.ts";
import type { HandleResult } from "../../result.ts";
import type { CloseReason, Self } from "../../websock.ts";

/** What a callback does when it is called. */
export interface Step {
  /** What it returns, to the letter. Default: `["ok", state]`. */
  readonly return?: unknown;
  /** Returns nothing. */
  readonly nothing?: true;
  /** Returns `["push", message, state]` with the message that it got. */
  readonly echo?: true;
  /** Returns a push of so many binary messages of 1 MiB each. */
  readonly blocks?: number;
  /** Throws an Error with this message; in a promise, it rejects. */
  readonly throw?: string;
  /** Sends these to itself first. */
  readonly infos?: readonly unknown[];
  /** Returns a promise: settled after a microtask, after a turn of the event loop, when the gate is opened, or never. */
  readonly async?: "microtask" | "turn" | "gate" | "never";
}

/** For each callback what it does when it is called first, second, …; the last step repeats. Default: nothing. */
export interface Script {
  readonly init?: readonly Step[];
  readonly handleIn?: readonly Step[];
  readonly handleControl?: readonly Step[];
  readonly handleInfo?: readonly Step[];
  readonly terminate?: readonly Step[];
}

/** What `init` of the scripted handler is given. */
export interface Scripted {
  readonly id: string;
  readonly script: Script;
}

/** What the callbacks of a connection saw. */
export interface Report {
  /** Every call, as `name argument state`. */
  readonly calls: string[];
  /** What `terminate` was given; `undefined` while it has not run. */
  reason: string | undefined;
  /** The most callbacks that ran at once. */
  concurrent: number;
  /** The code and text of the peer's close frame, as `self.connection` had them in `terminate`. */
  close: string | undefined;
  /** What `self.send` returned in `terminate`, and whether `self.signal` was aborted. */
  ended: string | undefined;
}

interface Running {
  readonly id: string;
  readonly report: Report;
  readonly script: Script;
  readonly counts: Map<keyof Script, number>;
  readonly gate: Promise<void>;
  readonly open: () => void;
  readonly whenEnded: Promise<void>;
  readonly end: () => void;
  now: number;
}

const connections = new Map<string, Running>();

const deferred = (): [promise: Promise<void>, resolve: () => void] => {
  let resolve!: () => void;
  return [new Promise<void>((r) => (resolve = r)), resolve];
};

const connectionOf = (id: string, script: Script = {}): Running => {
  let running = connections.get(id);
  if (running === undefined) {
    const [gate, open] = deferred();
    const [whenEnded, end] = deferred();
    const report: Report = { calls: [], reason: undefined, concurrent: 0, close: undefined, ended: undefined };
    running = { id, report, script, counts: new Map(), gate, open, whenEnded, end, now: 0 };
    connections.set(id, running);
  }
  return running;
};

/** The report of a connection as it is now. */
export const reportOf = (id: string): Report => connectionOf(id).report;

/** Resolves when `terminate` of the connection has run. */
export const whenTerminated = (id: string): Promise<void> => connectionOf(id).whenEnded;

/** Lets the callbacks of the connection go on that wait at its gate. */
export const openGate = (id: string): void => connectionOf(id).open();

/** Of plain values, so that a host can keep it where the process may be gone before the connection is. */
interface ScriptedState {
  readonly id: string;
  readonly value: unknown;
}

type Result = HandleResult<ScriptedState>;

const perform = (
  name: keyof Script,
  running: Running,
  argument: unknown,
  value: unknown,
  self: Self<unknown>,
): unknown => {
  running.report.calls.push(`${name} ${show(argument)} ${show(value)}`);
  const count = running.counts.get(name) ?? 0;
  running.counts.set(name, count + 1);
  const steps = running.script[name] ?? [];
  const step = steps[Math.min(count, steps.length - 1)] ?? {};
  running.report.concurrent = Math.max(running.report.concurrent, ++running.now);
  const finish = (): unknown => {
    running.now--;
    if (step.throw !== undefined) throw new Error(step.throw);
    if (step.nothing) return undefined;
    if (step.echo) return ["push", argument, wrap(running, value)];
    if (step.blocks !== undefined) return ["push", blocks(step.blocks), wrap(running, value)];
    if (!("return" in step)) return ["ok", wrap(running, value)];
    return withState(step.return, running);
  };
  for (const info of step.infos ?? []) self.send(info);
  switch (step.async) {
    case undefined:
      return finish();
    case "microtask":
      return Promise.resolve().then(finish);
    case "turn":
      return new Promise<void>((resolve) => later(resolve)).then(finish);
    case "gate":
      return running.gate.then(finish);
    case "never":
      return new Promise(() => undefined);
    default:
      throw new Error(`the script says async: ${String(step.async)}`);
  }
};

const blocks = (count: number): OutMessage[] =>
  Array.from({ length: count }, () => ({ opcode: "binary", data: new Uint8Array(1024 * 1024) }));

const wrap = ({ id }: Running, value: unknown): ScriptedState => ({ id, value });

/** Scripts give plain states; the handler's also know their connection. */
const withState = (result: unknown, running: Running): unknown =>
  Array.isArray(result) && result.length > 1 ? [...result.slice(0, -1), wrap(running, result.at(-1))] : result;

/** A longer text is reported by its length. */
const LONGEST = 100_000;

const show = (value: unknown): string => {
  if (typeof value === "string") return value.length > LONGEST ? `${value.length} characters` : value;
  if (value instanceof Uint8Array) return `<${[...value].join(" ")}>`;
  if (typeof value !== "object" || value === null) return String(value);
  const { opcode, data } = value as Partial<DataMessage | ControlMessage>;
  return opcode === undefined ? JSON.stringify(value) : `${opcode}:${show(data)}`;
};

const showReason = (reason: CloseReason): string => {
  if (typeof reason === "string") return reason;
  const { error } = reason;
  if (!(error instanceof Error)) return `error ${show(error)}`;
  const code = "code" in error ? ` ${String(error.code)}` : "";
  // Our own errors are told by name, an application's by its message.
  return error.constructor === Error ? `error ${error.message}` : `error ${error.name}${code}`;
};

export const init = ({ id, script }: Scripted, self: Self<unknown>): Result => {
  const running = connectionOf(id, script);
  return perform("init", running, "", "", self) as Result;
};

export const handleIn = (message: DataMessage, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  perform("handleIn", connectionOf(id), message, value, self) as Result;

export const handleControl = (message: ControlMessage, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  perform("handleControl", connectionOf(id), message, value, self) as Result;

export const handleInfo = (info: unknown, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  perform("handleInfo", connectionOf(id), info, value, self) as Result;

export const terminate = (
  reason: CloseReason,
  { id, value }: ScriptedState,
  self: Self<unknown>,
): void | Promise<void> => {
  const running = connectionOf(id);
  const { report } = running;
  const { closeCode, closeText } = self.connection;
  report.reason = report.reason === undefined ? showReason(reason) : `terminate ran twice: ${report.reason}`;
  report.close = `${closeCode ?? "-"} ${closeText ?? "-"}`;
  report.ended = `${self.send("late")} ${self.signal.aborted}`;
  running.end();
  return perform("terminate", running, showReason(reason), value, self) as void | Promise<void>;
};
