/** `isolate`: a handler whose callbacks run in worker threads. */
import { codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import type { ControlMessage, DataMessage } from "../message.ts";
import { type HandleResult, stop } from "../result.ts";
import { FINISH } from "../session/handler.ts";
import { SessionSelf } from "../session/self.ts";
import type { CloseReason, Self, WebSock } from "../websock.ts";
import type { RelayedConnection } from "./connection.ts";
import { NoWorker } from "./errors.ts";
import { type IsolateOptions, resolveIsolateOptions } from "./options.ts";
import { type IsolateStats, Pool } from "./pool.ts";

/** A module that is a handler, or has one as its default export. */
export type HandlerModule = HandlerLike | { readonly default: HandlerLike };

interface HandlerLike {
  readonly init: (...args: never[]) => unknown;
  readonly handleInfo?: ((...args: never[]) => unknown) | undefined;
}

type HandlerOf<Module> = Module extends { readonly default: infer Handler } ? Handler : Module;

/** The type of the argument of `init`. */
type ArgOf<Handler> = Handler extends { readonly init: (...args: infer Args) => unknown }
  ? Args extends readonly []
    ? void
    : Args extends readonly [infer Arg, ...unknown[]]
      ? Arg
      : unknown
  : unknown;

/** The type of the infos. */
type InfoOf<Handler> = Handler extends { readonly handleInfo: (info: infer Info, ...rest: never[]) => unknown }
  ? Info
  : never;

/**
 * A handler whose callbacks run in worker threads: what {@link isolate} returns.
 *
 * @typeParam Arg the type of the argument of `init`
 * @typeParam Info the type of the infos
 */
export interface Isolated<Arg, Info> extends WebSock<Arg, unknown, Info> {
  /** Numbers of workers, connections and what has happened to them. */
  readonly stats: IsolateStats;
  /**
   * Closes all connections of the handler with 1001, and ends the workers when `terminate` of each has finished.
   * Connections that are opened later are closed with 1013.
   */
  close(): Promise<void>;
}

/**
 * Runs the callbacks of a handler in a pool of worker threads: each worker has a heap of its own, and a crash or an
 * endless loop in one, and with `maxHeapSize` a leak, ends the connections of this worker, and no others. Each
 * connection stays with its worker. Create it once, when the process starts, and pass it to `upgrade` like any other
 * handler.
 *
 * ```ts
 * const Chat = isolate(new URL("./chat.js", import.meta.url), { workers: 4, maxCallbackTime: 5_000 });
 *
 * app.get("/chat", (req) => upgrade(req, Chat, { user: req.headers["x-user"] }));
 * ```
 *
 * `isolate<typeof import("./chat.js")>(…)` infers the types of the argument and of the infos.
 *
 * The argument of `init`, and infos, are copied by structured clone: they must not contain functions, and instances of
 * classes lose their class. Otherwise the connection is closed with 1011, and the error is reported to `onError`.
 *
 * @typeParam Module the type of the module, from which the types of the argument and of the infos are inferred
 * @param module the URL of a module that is a handler, or whose default export is one
 * @param options the number of workers, and their limits
 * @throws TypeError for a value that is no URL, and for an invalid option
 */
export const isolate = <Module extends HandlerModule = HandlerModule>(
  module: URL | string,
  options: IsolateOptions = {},
): Isolated<ArgOf<HandlerOf<Module>>, InfoOf<HandlerOf<Module>>> => {
  const { href, pathname } = checkedUrl(module);
  const resolved = resolveIsolateOptions(options);
  const name = resolved.name ?? pathname.slice(pathname.lastIndexOf("/") + 1);
  return relay(name, new Pool(href, resolved)) as never;
};

const checkedUrl = (module: unknown): URL => {
  if (module instanceof URL) return module;
  if (typeof module === "string" && URL.canParse(module)) return new URL(module);
  throw codedTypeError(
    "WEBSOCK_INVALID_ARGUMENT",
    `isolate() needs the URL of a module, as in new URL("./handler.js", import.meta.url), not ${show(module)}`,
  );
};

type Result = HandleResult<RelayedConnection> | Promise<HandleResult<RelayedConnection>>;

/** An ordinary handler, which relays everything to a worker. Its state is the connection. */
const relay = (name: string, pool: Pool) => ({
  name,
  get stats(): IsolateStats {
    return pool.stats;
  },
  close: (): Promise<void> => pool.close(),
  init: (arg: unknown, self: Self<unknown>): Result | HandleResult<undefined> => {
    const thread = pool.pick();
    if (thread === undefined) return stop(new NoWorker("no worker is available"), undefined, { code: 1013 });
    return thread.connect(SessionSelf.sessionOf(self)!).open(arg);
  },
  handleIn: (message: DataMessage, connection: RelayedConnection): Result => connection.receive(message),
  handleControl: (message: ControlMessage, connection: RelayedConnection): Result => connection.receive(message),
  handleInfo: (info: unknown, connection: RelayedConnection): Result => connection.receiveInfo(info),
  terminate: (_: CloseReason, connection: RelayedConnection | undefined): Promise<void> | undefined =>
    connection?.whenReleased(),
  [FINISH]: (_: unknown, connection: RelayedConnection): Result => connection.finish(),
});
