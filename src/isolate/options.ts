/** The options of `isolate`: their meaning, defaults and checks. */

import { availableParallelism } from "node:os";
import { systemClock } from "../adapters/shared/system-clock.ts";
import { codedTypeError } from "../error-codes.ts";
import { checkKeys, show } from "../known-keys.ts";
import { PubSub } from "../pubsub/pubsub.ts";
import type { Clock } from "../session/clock.ts";

/** Options of `isolate`. Those that are `undefined` count as omitted. */
export interface IsolateOptions {
  /** The number of workers. Default: one less than the number of CPU cores, but at least 1. */
  readonly workers?: number;
  /**
   * How much memory a worker may need, in megabytes (MiB): the objects of its JavaScript heap, and the memory of its
   * Buffers and ArrayBuffers, measured 20 times per second and without garbage. A worker that needs more ends: its
   * connections are closed with 1011 (`HeapExceeded`). A callback that does not return may need twice as much. In
   * some endless loops, nothing can be measured: set `maxCallbackTime`, too (docs/isolation.md). Only on Node; on other
   * runtimes it throws. Default: V8's limit, which depends on the memory of the machine.
   */
  readonly maxHeapSize?: number;
  /**
   * After this many minor garbage collections of a worker without a full one, a full one is forced in this worker.
   * Use it for handlers that keep little, but for long: what has survived minor collections is only freed by a full
   * one. Only on Node; on other runtimes it throws. Default: V8 decides.
   *
   * @see https://www.erlang.org/doc/apps/erts/erlang.html#process_flag/2
   */
  readonly fullsweepAfter?: number;
  /**
   * How long a callback may keep its worker busy, in milliseconds, before the worker is ended: its connections are
   * closed with 1011 (`CallbackTimeout`). Time in which a callback awaits a promise does not count. The worker is ended
   * at the latest after twice this, plus a second. Default: `Infinity`.
   */
  readonly maxCallbackTime?: number;
  /**
   * The scheduling priority of the worker threads, from 0 (that of the main thread) to 19 (the lowest). The main thread
   * serves the connections of all workers, and needs little CPU time: with a low priority of the workers, it gets a
   * core as soon as it has something to do. Only on Linux, where threads have priorities; elsewhere it has no effect.
   * The workers of all handlers should have the same. Default: 5.
   *
   * @see https://man7.org/linux/man-pages/man7/sched.7.html
   */
  readonly nice?: number;
  /**
   * How many messages and infos of one connection may wait in its worker. If there are more, or more than 64 KiB,
   * nothing of this connection is passed on until half of them are handled; meanwhile the ordinary backpressure holds
   * the client back. Default: 256.
   */
  readonly maxPending?: number;
  /**
   * The topics and addresses that handlers in the workers reach with `sharedPubSub()`: those of this `PubSub` in the
   * main thread. No worker then needs a backplane of its own. Default: none.
   */
  readonly pubsub?: PubSub;
  /** The name of the handler in reports. Default: the file name of the module. */
  readonly name?: string;
  /**
   * Receives the error of each worker that ends by itself, whether it has connections or not: `HeapExceeded`,
   * `CallbackTimeout` or `WorkerExited`; and an error with the code `WEBSOCK_WORKER_STUCK` if a worker cannot be ended.
   * Default: `console.error`.
   */
  readonly onWorkerError?: (error: Error) => void;
  /** A clock for tests. Default: the system clock. */
  readonly clock?: Clock;
}

export interface ResolvedIsolateOptions {
  readonly workers: number;
  readonly maxHeapSize: number;
  readonly fullsweepAfter: number;
  readonly maxCallbackTime: number;
  readonly nice: number;
  readonly maxPending: number;
  readonly pubsub: PubSub | undefined;
  readonly name: string | undefined;
  readonly onWorkerError: (error: Error) => void;
  readonly clock: Clock;
}

const DEFAULTS: ResolvedIsolateOptions = {
  workers: Math.max(1, availableParallelism() - 1),
  maxHeapSize: Number.POSITIVE_INFINITY,
  fullsweepAfter: Number.POSITIVE_INFINITY,
  maxCallbackTime: Number.POSITIVE_INFINITY,
  nice: 5,
  maxPending: 256,
  pubsub: undefined,
  name: undefined,
  onWorkerError: (error) => console.error(error),
  clock: systemClock,
};

/** V8 cannot run in less. */
const MIN_HEAP_SIZE = 8;

/** Names of runtimes other than Node, which define `process.versions.node`, too. */
const foreignRuntime = (): string | undefined =>
  ["bun", "deno"].find((name) => (process.versions as Record<string, string | undefined>)[name] !== undefined);

/** @throws TypeError for an unknown option, an invalid value, or an option that the runtime ignores */
export const resolveIsolateOptions = (options: IsolateOptions): ResolvedIsolateOptions => {
  checkKeys(options, Object.keys(DEFAULTS));
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const resolved = { ...DEFAULTS, ...given } as ResolvedIsolateOptions;
  checkWhole("workers", resolved.workers, 1, 1_024);
  checkWhole("maxHeapSize", resolved.maxHeapSize, MIN_HEAP_SIZE);
  checkWhole("fullsweepAfter", resolved.fullsweepAfter, 1);
  checkWhole("nice", resolved.nice, 0, 19);
  checkWhole("maxPending", resolved.maxPending, 1, 65_536);
  if (typeof resolved.maxCallbackTime !== "number" || !(resolved.maxCallbackTime > 0))
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "maxCallbackTime" must be a number of milliseconds above zero, not ${show(resolved.maxCallbackTime)}`,
    );
  if (resolved.pubsub !== undefined && !(resolved.pubsub instanceof PubSub))
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "pubsub" must be a PubSub, not ${show(resolved.pubsub)}`);
  if (resolved.name !== undefined && typeof resolved.name !== "string")
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "name" must be a string, not ${show(resolved.name)}`);
  if (typeof resolved.onWorkerError !== "function")
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "onWorkerError" must be a function, not ${show(resolved.onWorkerError)}`,
    );
  const runtime = foreignRuntime();
  for (const name of ["maxHeapSize", "fullsweepAfter"] as const)
    if (runtime !== undefined && resolved[name] !== Number.POSITIVE_INFINITY)
      throw codedTypeError(
        "WEBSOCK_INVALID_OPTION",
        `option "${name}" is only possible on Node: ${runtime} ignores the limits of workers`,
      );
  return resolved;
};

const checkWhole = (name: string, value: unknown, from: number, to = Number.POSITIVE_INFINITY): void => {
  if (
    (Number.isInteger(value) || value === Number.POSITIVE_INFINITY) &&
    (value as number) >= from &&
    (value as number) <= to
  )
    return;
  const upTo = to === Number.POSITIVE_INFINITY ? `of at least ${from}, or Infinity` : `from ${from} to ${to}`;
  throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be a whole number ${upTo}, not ${show(value)}`);
};
