/**
 * The handler that the conformance suite runs. Its callbacks follow a script that is sent with the upgrade request, so
 * that it can run in another process and runtime (see `remote.ts`). What they see is stored in a report.
 */

import type {
  AbortError,
  CloseReason,
  ControlMessage,
  DataMessage,
  HandleResult,
  Messages,
  OutMessage,
  Self,
  StopDetail,
} from "websock-js";
import type { Address, PubSub, SendOptions, Subscription } from "websock-js/pubsub";

/** Resolves in a later event-loop tick. Workers have no `setImmediate`. */
const nextTick = (): Promise<void> =>
  new Promise((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });

/** What one call of a callback does. */
export interface Step {
  /** The result that it returns, unchecked. Default: `["ok", state]`. */
  readonly return?: unknown;
  /** Returns `undefined`. */
  readonly nothing?: true;
  /** Returns `["push", message, state]` with the received message. */
  readonly echo?: true;
  /** Returns a push of this many binary messages of 1 MiB each. */
  readonly blocks?: number;
  /** Throws an Error with this message, or rejects with it if `async` is set. */
  readonly throw?: string;
  /** First sends these infos to its own connection. */
  readonly infos?: readonly unknown[];
  /** First calls these methods of its `self`, synchronously. */
  readonly acts?: readonly Action[];
  /** First replaces the AsyncLocalStorage store with `enterWith`, as some tracing libraries do. */
  readonly enterWith?: string;
  /** Returns a promise that settles after a microtask, after an event-loop tick, when the gate is opened, or never. */
  readonly async?: "microtask" | "turn" | "gate" | "never";
}

/** A call of a method of `self`, of a topic, or of the `PubSub` of the process. */
export type Action =
  | { readonly do: "send"; readonly info: unknown }
  | { readonly do: "push"; readonly messages: unknown }
  | { readonly do: "stop"; readonly reason: unknown; readonly detail?: StopDetail }
  | { readonly do: "drained" | "buffered" | "compression" }
  | TopicAction
  | AddressAction;

/** A call of a method of a topic. */
type TopicAction = { readonly topic: string } & (
  | ({ readonly do: "subscribe" } & Subscribing)
  | { readonly do: "cancel" | "unsubscribe" | "members" }
  | ({ readonly do: "publish"; readonly messages: unknown } & Sending)
  | ({ readonly do: "publishBlocks"; readonly count: number } & Sending)
  | ({ readonly do: "publishRepeated" } & RepeatedMessage & Sending)
  | ({ readonly do: "broadcast"; readonly info: unknown } & Sending)
  | ({ readonly do: "kick"; readonly reason: string; readonly detail?: StopDetail } & Sending)
);

/** The options of a topic's `subscribe`. */
export interface Subscribing {
  readonly slow?: "close" | "drop";
  readonly maxBuffered?: number;
  /** A gap becomes the info `{ missed }`. */
  readonly onGap?: true;
}

/** A message whose data is repeated: a large message does not fit into the URL of a request to another process. */
interface RepeatedMessage {
  readonly opcode: "text" | "binary";
  readonly data: string;
  readonly times: number;
}

/** The options of a topic's `publish`, `broadcast` and `stop`. */
interface Sending {
  /** Addresses; `"self"`: the connection itself. A single one is passed without a list. */
  readonly except?: readonly string[];
  readonly volatile?: true;
}

/** A call of a method of the `PubSub`. */
type AddressAction =
  | { readonly do: "address" | "topics" }
  | { readonly do: "sendTo"; readonly to: string; readonly info: unknown }
  | { readonly do: "stopAt"; readonly to: string; readonly reason: string; readonly detail?: StopDetail };

/** For each callback, the steps of its first, second, … call. The last step repeats. Default: `[{}]`. */
export interface Script {
  readonly init?: readonly Step[];
  readonly handleIn?: readonly Step[];
  readonly handleControl?: readonly Step[];
  readonly handleInfo?: readonly Step[];
  readonly terminate?: readonly Step[];
}

/** The argument of the scripted handler's `init`. */
export interface Scripted {
  /** Identifies the connection in the functions of this module. */
  readonly id: string;
  /** What the callbacks do. */
  readonly script: Script;
}

/** What the callbacks of a connection saw. */
export interface Report {
  /** All calls, as `name argument state`. */
  readonly calls: string[];
  /** The reason that `terminate` received; `undefined` until it is called. */
  reason: string | undefined;
  /** The highest number of callbacks that were pending at the same time. */
  concurrent: number;
  /** The client's close code and reason text, from `self.connection` in `terminate`. */
  close: string | undefined;
  /** What `self.send`, `push` and `stop` returned in `terminate`, and the `reason` of `self.signal`. */
  ended: string | undefined;
  /** The return values of the steps' actions, or the names of the errors that they threw. */
  readonly acted: string[];
  /** The AsyncLocalStorage contexts in which callbacks and listeners of `self.signal` ran, without duplicates. */
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
  readonly subscriptions: Subscription[];
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
    running = {
      id,
      report,
      script,
      counts: new Map(),
      gate,
      open,
      whenEnded,
      subscriptions: [],
      self: undefined,
      end,
      now: 0,
    };
    connections.set(id, running);
  }
  return running;
};

/** Returns the report of a connection. */
export const reportOf = (id: string): Report => connectionOf(id).report;

/** Resolves when `terminate` of the connection has been called. */
export const whenTerminated = (id: string): Promise<void> => connectionOf(id).whenEnded;

/** Lets the callbacks of a connection settle that wait because of `async: "gate"`. */
export const openGate = (id: string): void => connectionOf(id).open();

/** Performs an action from outside the callbacks. Resolves with its return value, or the name of its error. */
export const actOn = (id: string, action: Action): Promise<string> => act(connectionOf(id), action);

const act = async (running: Running, action: Action): Promise<string> => {
  try {
    return String(await perform(running.self!, running, action));
  } catch (error) {
    return (error as Error).name;
  }
};

let pubsub: PubSub | undefined;

/**
 * Sets the `PubSub` whose topics and addresses the cases use. Call it once in the process of the host. (This module
 * does not create it, because it must come from the same copy of `websock-js` as the host.)
 */
export const setPubSub = (used: PubSub): void => {
  pubsub = used;
};

const usedPubSub = (): PubSub => {
  if (pubsub === undefined) throw new Error("call setPubSub() in the process of the host");
  return pubsub;
};

const perform = (self: Self<unknown>, running: Running, action: Action): unknown => {
  switch (action.do) {
    case "send":
      return self.send(action.info);
    case "push":
      return self.push(action.messages as Messages);
    case "stop":
      return self.stop(action.reason, action.detail);
    case "drained":
      return self.drained();
    case "buffered":
      return self.buffered;
    case "compression":
      return self.connection.compression !== undefined;
    case "address":
      return usedPubSub().address(self);
    case "topics":
      return usedPubSub().topicsOf(self);
    case "sendTo":
      return usedPubSub().send(action.to as Address<unknown>, action.info);
    case "stopAt":
      return usedPubSub().stop(action.to as Address, action.reason, action.detail);
    default:
      return performOnTopic(self, running, action);
  }
};

const performOnTopic = (self: Self<unknown>, { subscriptions }: Running, action: TopicAction): unknown => {
  const topic = usedPubSub().topic<unknown>(action.topic);
  switch (action.do) {
    case "subscribe": {
      const { slow, maxBuffered, onGap } = action;
      const subscription = topic.subscribe(self, {
        ...(slow && { slow }),
        ...(maxBuffered && { maxBuffered }),
        ...(onGap && { onGap: ({ missed }) => ({ missed }) }),
      });
      subscriptions.push(subscription);
      return subscription.ready;
    }
    case "cancel": {
      const oldest = subscriptions.findIndex(({ topic: name }) => name === action.topic);
      return subscriptions.splice(oldest, 1)[0]!.cancel();
    }
    case "unsubscribe":
      return topic.unsubscribe(self);
    case "members":
      // A topic in a worker, where `self` is not exact, asks for the number of its members.
      if ("count" in topic) return (topic as Counted).count().then((count) => `${count} ${count}`);
      return `${topic.size} ${[...topic.members()].length}`;
    case "publish":
      return topic.publish(action.messages as Messages, sendOptions(self, action));
    case "publishBlocks":
      return topic.publish(blocks(action.count), sendOptions(self, action));
    case "publishRepeated": {
      const { opcode, data, times } = action;
      return topic.publish({ opcode, data: data.repeat(times) }, sendOptions(self, action));
    }
    case "broadcast":
      return topic.broadcast(action.info, sendOptions(self, action));
    case "kick":
      return topic.stop(action.reason, action.detail, sendOptions(self, action));
  }
};

interface Counted {
  count(): Promise<number>;
}

const sendOptions = (self: Self<unknown>, { except, volatile }: Sending): SendOptions => {
  const excepted = except?.map((one) => (one === "self" ? self : (one as Address)));
  return {
    ...(excepted && { except: excepted.length === 1 ? excepted[0]! : excepted }),
    ...(volatile && { volatile }),
  };
};

// --- AsyncLocalStorage, where the host has it

type AsyncHooks = typeof import("node:async_hooks");
const { process } = globalThis as { process?: { getBuiltinModule?(name: string): AsyncHooks | undefined } };
const hooks = process?.getBuiltinModule?.("node:async_hooks");
const storage = hooks && new hooks.AsyncLocalStorage<string>();

/**
 * Calls `upgrade` in an AsyncLocalStorage context of its own. The suite checks that the callbacks run in that context.
 */
export const inOwnContext = <T>(id: string, upgrade: () => T): T =>
  storage === undefined ? upgrade() : storage.run(id, upgrade);

const enterOther = (store: string): void => {
  try {
    storage?.enterWith(store);
  } catch {
    // workerd does not support `enterWith`, so no context can leak there.
  }
};

const noteContext = ({ id, report }: Running): void => {
  const store = storage?.getStore();
  const context = store === id ? "own" : store === undefined ? "none" : `of ${store}`;
  if (!report.contexts.includes(context)) report.contexts.push(context);
};

/** Contains plain values only, so that a Durable Object can store it during hibernation. */
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
  for (const action of step.acts ?? []) void act(running, action).then((result) => running.report.acted.push(result));
  switch (step.async) {
    case undefined:
      return finish();
    case "microtask":
      return Promise.resolve().then(finish);
    case "turn":
      return nextTick().then(finish);
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

/** Adds the id of the connection to the state in a scripted result. */
const withState = (result: unknown, running: Running): unknown =>
  Array.isArray(result) && result.length > 1 ? [...result.slice(0, -1), wrap(running, result.at(-1))] : result;

/** A longer text is reported as its length. */
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
  const code = "closeCode" in error ? ` ${String(error.closeCode)}` : "";
  // Errors of the library are reported by name, those of the script by their message.
  return error.constructor === Error ? `error ${error.message}` : `error ${error.name}${code}`;
};

/** Starts a connection of the scripted handler. */
export const init = ({ id, script }: Scripted, self: Self<unknown>): Result => {
  const running = connectionOf(id, script);
  running.self = self;
  self.signal.addEventListener("abort", () => noteContext(running));
  return callback("init", running, "", "", self) as Result;
};

/** Runs the next step for a message. */
export const handleIn = (message: DataMessage, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  callback("handleIn", connectionOf(id), message, value, self) as Result;

/** Runs the next step for a ping or pong. */
export const handleControl = (message: ControlMessage, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  callback("handleControl", connectionOf(id), message, value, self) as Result;

/** Runs the next step for an info. */
export const handleInfo = (info: unknown, { id, value }: ScriptedState, self: Self<unknown>): Result =>
  callback("handleInfo", connectionOf(id), info, value, self) as Result;

/** Completes the report, and runs the step for the end. */
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
