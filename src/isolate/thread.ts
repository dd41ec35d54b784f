/** The main thread's end of one worker: its connections, and the records that cross. */

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from "node:worker_threads";
import { later, microtask } from "../adapters/shared/timers.ts";
import { codedError, codedTypeError } from "../error-codes.ts";
import type { OutMessage } from "../message.ts";
import { NEVER, type Timed } from "../session/clock.ts";
import type { CallbackName } from "../session/handler.ts";
import type { TopicSession } from "../session/self.ts";
import { type ConnectionThread, RelayedConnection } from "./connection.ts";
import { CallbackTimeout, HeapExceeded, WorkerExited } from "./errors.ts";
import { HeapGauge, workerName } from "./heap-gauge.ts";
import type { ResolvedIsolateOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { type Packed, type PackedReason, unpackError, unpackReason } from "./packed-error.ts";
import {
  ABORT,
  type BINARY,
  CALL,
  CALLED,
  CLOSE,
  COLLECTED,
  ENDED,
  HANDLED,
  OPEN,
  OPENED,
  type PING,
  PONG,
  PROBE,
  READY,
  RELEASED,
  REPORT,
  sizeOf,
  TEXT,
  WIDTHS_TO_MAIN,
  WIDTHS_TO_WORKER,
  type WorkerSettings,
} from "./records.ts";
import { type SharedCalls, SharedTopics } from "./shared-topics.ts";
import { Watchdog } from "./watchdog.ts";
import { workerUrl } from "./worker-url.ts";

const MIB = 1024 * 1024;
const OPCODES = ["", "text", "binary", "ping", "pong"] as const;

/** After how many milliseconds, at the latest, the worker learns that messages have been flushed. */
const MAX_ACKNOWLEDGE_DELAY = 100;

/** How many milliseconds {@link Thread.close} waits for connections beyond their timeouts. */
const CLOSE_MARGIN = 1_000;

/** How many milliseconds a worker may take to exit, once it is terminated. */
const EXIT_TIMEOUT = 5_000;

export interface ThreadEvents {
  onCollected(): void;
  /** An error that belongs to no connection. */
  onError(error: unknown): void;
  /** The worker has ended by itself, and so have its connections. */
  onFailed(error: Error): void;
}

export class Thread implements ConnectionThread, Timed {
  slot = 0;
  readonly outbox: Outbox;
  readonly maxPending: number;
  private readonly options: ResolvedIsolateOptions;
  private readonly events: ThreadEvents;
  private readonly worker: Worker;
  private readonly port: MessagePort;
  private readonly watchdog: Watchdog;
  private readonly heapGauge: HeapGauge | undefined;
  private readonly topics: SharedTopics | undefined;
  private readonly connections = new Map<number, RelayedConnection>();
  private lastId = 0;
  /** The connections with messages that were flushed, which the worker does not know. */
  private readonly unacknowledged = new Set<RelayedConnection>();
  /** Why the worker is being ended. */
  private cause: Error | undefined = undefined;
  private isClosing = false;
  private hasEnded = false;
  private resolveEnded!: () => void;
  /** Resolves when the worker has exited, or has been abandoned. */
  private readonly ended = new Promise<void>((resolve) => {
    this.resolveEnded = resolve;
  });
  private readonly exitTimeout: Timed = { slot: 0, tick: () => this.abandon() };
  /** What has arrived, and where in the first element. Not empty within {@link run}, and while that is interrupted. */
  private readonly inbox: (readonly unknown[])[] = [];
  private at = 0;
  private onEmpty: (() => void) | undefined = undefined;

  constructor(url: string, options: ResolvedIsolateOptions, events: ThreadEvents) {
    const { port1, port2 } = new MessageChannel();
    const { maxHeapSize, fullsweepAfter, maxPending, nice, pubsub, clock } = options;
    const progress = new Int32Array(new SharedArrayBuffer(4));
    const name = workerName();
    const isLimited = maxHeapSize !== NEVER;
    const settings: Omit<WorkerSettings, "port"> = {
      url,
      maxPending,
      nice,
      fullsweepAfter: fullsweepAfter === NEVER ? undefined : fullsweepAfter,
      progress,
      pubsubNode: pubsub?.node,
    };
    this.options = options;
    this.events = events;
    this.maxPending = maxPending;
    this.port = port1;
    this.topics =
      pubsub &&
      new SharedTopics(pubsub, {
        selfOf: (id) => this.connections.get(id)?.session.self,
        answer: (call, result) => this.outbox.add(CALLED, 0, call, result),
        reportError: (id, error) => this.report(id, error, undefined),
      });
    this.outbox = new Outbox(
      port1,
      WIDTHS_TO_WORKER,
      () => this.addFlushed(),
      (record, error) => this.onRefused(record, error),
    );
    this.worker = new Worker(workerUrl, {
      name,
      workerData: { ...settings, port: port2 },
      transferList: [port2],
      ...(isLimited && { resourceLimits: heapLimits(maxHeapSize) }),
    });
    this.worker.on("error", (error: unknown) => this.onError(error));
    this.worker.on("exit", (code) => this.onExit(code));
    port1.on("message", this.onRecords);
    // After the listeners, which keep the process alive, were added: the connections do that, as long as there are any.
    this.worker.unref();
    port1.unref();
    this.heapGauge = isLimited
      ? new HeapGauge(name, maxHeapSize * MIB, (bytes) =>
          this.kill(new HeapExceeded(`the worker needed ${Math.ceil(bytes / MIB)} MiB, more than ${maxHeapSize} MiB`)),
        )
      : undefined;
    this.watchdog = new Watchdog(
      clock,
      options.maxCallbackTime,
      progress,
      (posted) => {
        this.outbox.add(PROBE, 0);
        later(posted);
      },
      () => this.kill(new CallbackTimeout(`a callback ran for more than ${options.maxCallbackTime} ms`)),
    );
  }

  get size(): number {
    return this.connections.size;
  }

  /** Whether the worker is being ended. */
  get isEnding(): boolean {
    return this.cause !== undefined;
  }

  /** Adds a connection. */
  connect(session: TopicSession): RelayedConnection {
    const connection = new RelayedConnection(++this.lastId, session, this);
    this.connections.set(connection.id, connection);
    // `terminate` of the connection may be pending when its socket is closed.
    if (this.connections.size === 1) this.worker.ref();
    return connection;
  }

  /** Closes the connections with 1001, and ends the worker when their `terminate` has finished. */
  async close(): Promise<void> {
    for (const { session } of this.connections.values()) session.stopNow("normal", { code: 1001 });
    await this.whenEmpty();
    this.isClosing = true;
    if (!this.hasEnded) this.terminate();
    await this.ended;
  }

  /** A worker that does not return to its event loop releases no connection: it is not awaited for ever. */
  private async whenEmpty(): Promise<void> {
    if (this.connections.size === 0) return;
    const { clock } = this.options;
    const timeouts = Array.from(this.connections.values(), ({ session }) => session.closeTimeout);
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
      // `terminate` may be pending for `closeTimeout`, after a callback that was pending for as long.
      clock.schedule({ slot: 0, tick: () => resolve() }, clock.now() + 2 * Math.max(...timeouts) + CLOSE_MARGIN);
    });
  }

  // --- what connections need

  acknowledge(connection: RelayedConnection, soon: boolean): void {
    if (this.unacknowledged.size === 0) {
      const { clock } = this.options;
      clock.schedule(this, clock.now() + MAX_ACKNOWLEDGE_DELAY);
    }
    this.unacknowledged.add(connection);
    if (soon) this.outbox.schedule();
  }

  /** Some messages are flushed, and nothing has crossed since. */
  tick(): void {
    if (this.unacknowledged.size > 0) this.outbox.schedule();
  }

  released(connection: RelayedConnection): void {
    this.connections.delete(connection.id);
    this.unacknowledged.delete(connection);
    this.topics?.forget(connection.id);
    if (this.connections.size > 0) return;
    this.worker.unref();
    this.onEmpty?.();
  }

  private addFlushed(): void {
    for (const connection of this.unacknowledged) connection.addFlushed();
    this.unacknowledged.clear();
  }

  private onRefused([kind, id]: readonly unknown[], error: unknown): void {
    const connection = this.connections.get(id as number);
    const what = kind === OPEN ? "the argument of init" : "an info";
    const { message } = error as Error;
    const problem = codedTypeError(
      "WEBSOCK_NOT_CLONEABLE",
      `${what} cannot be passed to a worker (structured clone): ${message}`,
      {
        cause: error,
      },
    );
    // The worker does not know a connection that it could not open.
    if (kind === OPEN) connection?.fail(problem);
    else connection?.onRefused(problem);
  }

  // --- the worker

  private onError(error: unknown): void {
    const isHeap = (error as { readonly code?: unknown } | null | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY";
    this.cause ??= isHeap
      ? new HeapExceeded("the worker needed more memory than V8 may use")
      : new WorkerExited(`the worker ended: ${String((error as Partial<Error> | null)?.message ?? error)}`, {
          cause: error,
        });
  }

  private onExit(code: number): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.stopTimers();
    this.options.clock.cancel(this.exitTimeout);
    // What the worker has posted before it ended.
    for (let post = receiveMessageOnPort(this.port); post !== undefined; post = receiveMessageOnPort(this.port))
      this.onRecords(post.message);
    this.port.close();
    if (this.isClosing && this.cause === undefined) this.resolveEnded();
    else this.fail(this.cause ?? new WorkerExited(`the worker has exited with code ${code}`));
  }

  /** Waits until the records that have arrived are executed: some connections may end by them. */
  private fail(error: Error): void {
    if (this.inbox.length > 0) {
      microtask(() => this.fail(error));
      return;
    }
    for (const connection of this.connections.values()) connection.fail(error);
    this.events.onFailed(error);
    this.resolveEnded();
  }

  /** @param id the number of the connection; 0: the error belongs to none */
  private report(id: number, error: unknown, callback: CallbackName | undefined): void {
    if (id === 0) this.events.onError(error);
    else this.connections.get(id)?.report(error, callback);
  }

  private kill(cause: Error): void {
    this.cause ??= cause;
    this.terminate();
  }

  private terminate(): void {
    const { clock } = this.options;
    this.stopTimers();
    void this.worker.terminate();
    clock.schedule(this.exitTimeout, clock.now() + EXIT_TIMEOUT);
  }

  /**
   * Abandons the worker: V8 cannot interrupt some loops, nor a system call. Its connections are closed as if it had
   * ended, and another worker takes its place.
   */
  private abandon(): void {
    // If the main thread was busy, the event that the worker has exited may be waiting.
    later(() => {
      if (this.hasEnded) return;
      this.onExit(1);
      this.events.onError(
        codedError(
          "WEBSOCK_WORKER_STUCK",
          `a worker that was terminated has not exited within ${EXIT_TIMEOUT} ms: it keeps its memory and its CPU time, and process.exit() waits for it`,
        ),
      );
    });
  }

  private stopTimers(): void {
    this.watchdog.stop();
    this.heapGauge?.stop();
    this.options.clock.cancel(this);
  }

  // --- records

  private readonly onRecords = (records: readonly unknown[]): void => {
    if (this.inbox.push(records) === 1) this.run();
  };

  /**
   * Executes what has arrived. When the `init` of a connection has returned, or everything is handled that came before
   * the client's close frame, its session learns of it in a microtask. What follows is executed after that.
   */
  private readonly run = (): void => {
    while (this.inbox.length > 0) {
      const records = this.inbox[0]!;
      while (this.at < records.length) {
        if (!this.executeOrContinue(records)) continue;
        microtask(this.run);
        return;
      }
      this.at = 0;
      this.inbox.shift();
    }
  };

  /** Like {@link execute}. If it throws, what follows is executed in a microtask. */
  private executeOrContinue(records: readonly unknown[]): boolean {
    try {
      return this.execute(records);
    } catch (error) {
      microtask(this.run);
      throw error;
    }
  }

  /**
   * Executes the record at {@link at}, or several messages of one connection together. Returns whether a session learns
   * of it in a microtask.
   */
  private execute(records: readonly unknown[]): boolean {
    const kind = records[this.at] as number;
    const id = records[this.at + 1] as number;
    if (kind >= TEXT && kind <= PONG) {
      this.push(records, id);
      return false;
    }
    const from = this.at + 2;
    this.at += WIDTHS_TO_MAIN[kind]!;
    const connection = this.connections.get(id);
    switch (kind) {
      case OPENED:
        return connection?.onOpened() ?? false;
      case HANDLED:
        connection?.onHandled(records[from] as number, records[from + 1] as number);
        break;
      case CLOSE: {
        const detail = { code: records[from + 1] as number, text: records[from + 2] as string };
        return connection?.onClose(unpackReason(records[from] as PackedReason), detail) ?? false;
      }
      case ABORT:
        connection?.onClose(unpackReason(records[from] as PackedReason), { abort: true });
        break;
      case ENDED:
        return connection?.onEnded() ?? false;
      case RELEASED:
        connection?.release();
        break;
      case REPORT:
        this.report(id, unpackError(records[from] as Packed), records[from + 1] as CallbackName | undefined);
        break;
      case CALL:
        this.topics!.call(
          id,
          records[from] as keyof SharedCalls,
          records[from + 1] as never,
          records[from + 2] as number,
        );
        break;
      case READY:
        this.watchdog.start();
        break;
      case COLLECTED:
        this.events.onCollected();
    }
    return false;
  }

  private push(records: readonly unknown[], id: number): void {
    const messages: OutMessage[] = [];
    let size = 0;
    let { at } = this;
    for (; records[at + 1] === id; at += 3) {
      const kind = records[at] as typeof TEXT | typeof BINARY | typeof PING | typeof PONG;
      const opcode = OPCODES[kind];
      if (opcode === undefined || kind < TEXT) break;
      const data = records[at + 2] as string | Uint8Array;
      size += sizeOf(data);
      messages.push({ opcode, data } as OutMessage);
    }
    this.at = at;
    this.connections.get(id)?.push(messages, size);
  }
}

/**
 * Of V8's default, a young generation of 48 MB would be most of a small heap. The old generation may grow beyond
 * `maxHeapSize` until that is noticed: see `heap-gauge.ts`.
 */
const heapLimits = (maxHeapSize: number) => ({
  maxOldGenerationSizeMb: Math.max(4 * maxHeapSize, maxHeapSize + 512),
  maxYoungGenerationSizeMb: Math.max(1, Math.min(48, maxHeapSize / 4)),
});
