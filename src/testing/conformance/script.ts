/**
 * The handler that the conformance suite runs. What its callbacks do is a script that comes with the connection, so that
 * it can run in another process and another runtime (see `remote.ts`); what they see is kept as a report.
 */

import { later } from "../../adapters/shared/timers.ts";
import type { AbortError } from "../../errors.ts";
import type { ControlMessage, DataMessage, Messages, OutMessage } from "../../message.ts";
import type { HandleResult, StopDetail } from "../../result.ts";
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
  /** Does these by its `self` first, during the call. */
  readonly acts?: readonly Action[];
  /** Enters another AsyncLocalStorage context by `enterWith`, as some tracing libraries do. */
  readonly enterWith?: string;
  /** Returns a promise: settled after a microtask, after a turn of the event loop, when the gate is opened, or never. */
  readonly async?: "microtask" | "turn" | "gate" | "never";
}

/** Something done by the `self` of a connection. */
export type Action =
  | { readonly do: "send"; readonly info: unknown }
  | { readonly do: "push"; readonly messages: unknown }
  | { readonly do: "stop"; readonly reason: unknown; readonly detail?: StopDetail }
  | { readonly do: "drained" };

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
  /** What `self.send`, `push` and `stop` returned in `terminate`, and the `reason` of `self.signal`. */
  ended: string | undefined;
  /** What the actions of steps returned, or the name of the error that they threw. */
  readonly acted: string[];
  /** The AsyncLocalStorage contexts that callbacks and listeners of `self.signal` ran in, each once. */
  readonly contexts: string[];
}

interface Running {
  readonly id: string;
  readonly report: Report;
  readonly script: Script;
  readonly counts: Map<keyof Script, number>;
  readonly gate: Promise<void>;
  readonly open: () => void;
  readonly whenEnded: Promise<void>;
  self: Self<unknown> | undefined;
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
    const report: Report = {
      calls: [],
      reason: undefined,
      concurrent: 0,
      close: undefined,
      ended: undefined,
      acted: [],
      contexts: [],
    };
    running = { id, report, script, counts: new Map(), gate, open, whenEnded, self: undefined, end, now: 0 };
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

/** Does something to a connection from outside of its callbacks; resolves with what that returned. */
export const actOn = (id: string, action: Action): Promise<string> => act(connectionOf(id).self!, action);

const act = async (self: Self<unknown>, action: Action): Promise<string> => {
  try {
    return String(await perform(self, action));
  } catch (error) {
    return (error as Error).name;
  }
};

const perform = (self: Self<unknown>, action: Action): boolean | Promise<boolean> => {
  switch (action.do) {
    case "send":
      return self.send(action.info);
    case "push":
      return self.push(action.messages as Messages);
    case "stop":
      return self.stop(action.reason, action.detail);
    case "drained":
      return self.drained();
  }
};

// --- AsyncLocalStorage, where the host has it

type AsyncHooks = typeof import("node:async_hooks");
const { process } = globalThis as { process?: { getBuiltinModule?(name: string): AsyncHooks | undefined } };
const hooks = process?.getBuiltinModule?.("node:async_hooks");
const storage = hooks && new hooks.AsyncLocalStorage<string>();

/** Calls `upgrade` in a context of the connection's own; the suite checks that its callbacks run in that one. */
export const inOwnContext = <T>(id: string, upgrade: () => T): T =>
  storage === undefined ? upgrade() : storage.run(id, upgrade);

const enterOther = (store: string): void => {
  try {
    storage?.enterWith(store);
  } catch {
    // workerd does not support it: no context can leak there.
  }
};

const noteContext = ({ id, report }: Running): void => {
  const store = storage?.getStore();
  const context = store === id ? "own" : store === undefined ? "none" : `of ${store}`;
  if (!report.contexts.includes(context)) report.contexts.push(context);
};

/** Of plain values, so that a host can keep it where the process may be gone before the connection is. */
interface ScriptedState {
  readonly id: string;
  readonly value: unknown;
}

type Result = HandleResult<ScriptedState>;

const callback = (
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
  noteContext(running);
  if (step.enterWith !== undefined) enterOther(step.enterWith);
  for (const info of step.infos ?? []) self.send(info);
  for (const action of step.acts ?? []) void act(self, action).then((result) => running.report.acted.push(result));
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
      throw new Error(`unknown value of "async" in the script: ${String(step.async)}`);
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
  running.self = self;
  self.signal.addEventListener("abort", () => noteContext(running));
  return callback("init", running, "", "", self) as Result;
};

export const handleIn = (message: DataMessage, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  callback("handleIn", connectionOf(id), message, value, self) as Result;

export const handleControl = (message: ControlMessage, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  callback("handleControl", connectionOf(id), message, value, self) as Result;

export const handleInfo = (info: unknown, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  callback("handleInfo", connectionOf(id), info, value, self) as Result;

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
  const { name, reason: signalled } = self.signal.reason as AbortError;
  const returned = [self.send("late"), self.push({ opcode: "text", data: "late" }), self.stop("late")];
  report.ended = `${returned.join(" ")} ${name} ${showReason(signalled)}`;
  running.end();
  return callback("terminate", running, showReason(reason), value, self) as void | Promise<void>;
};
