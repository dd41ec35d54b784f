/**
 * `maxHeapSize`: measures the memory of a worker, from the main thread.
 *
 * V8 enforces `resourceLimits`, but that does not protect the others: when a single allocation (an array or a `Set`
 * that grows) exceeds the limit by more than 16 MB, V8 aborts the whole process, and Buffers are not in the limit at
 * all. So V8 gets a higher limit, and the memory is measured here. An inspector session interrupts the worker, so it
 * answers also while a callback does not return.
 */
import { Session } from "node:inspector";
import { later, systemTimers } from "../adapters/shared/timers.ts";

const INTERVAL = 50;

/** A worker that does not answer within so many intervals is asked again: the question may have been lost. */
const MAX_AWAITED = 20;

const WORKER_NAME = /\bisolate #\d+/;

let workers = 0;

/** A name for the next worker, by which its inspector is found. */
export const workerName = (): string => `isolate #${++workers}`;

/** A sum of bytes. `external` contains the memory of Buffers and ArrayBuffers. */
const NEEDED = "(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())";

type Answer = (result: { readonly result?: { readonly value?: unknown } } | undefined) => void;

/** Sends commands to the inspectors of workers. There is one for all pools. */
class Inspector {
  private readonly session = new Session();
  /** By the name of the worker: `workerId` is not its thread id, but counts in the order in which workers start. */
  private readonly sessionIds = new Map<string, string>();
  private readonly pending = new Map<number, { readonly sessionId: string; readonly answer: Answer }>();
  private lastId = 0;

  constructor() {
    const { session, sessionIds, pending } = this;
    session.connect();
    session.on("NodeWorker.attachedToWorker", ({ params }) => {
      const name = WORKER_NAME.exec(params.workerInfo.title)?.[0];
      if (name !== undefined) sessionIds.set(name, params.sessionId);
    });
    session.on("NodeWorker.detachedFromWorker", ({ params }) => {
      for (const [name, id] of sessionIds) if (id === params.sessionId) sessionIds.delete(name);
      for (const [id, { sessionId }] of pending) if (sessionId === params.sessionId) pending.delete(id);
    });
    session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
      const { id, result } = JSON.parse(params.message) as { id: number; result: Parameters<Answer>[0] };
      const answer = pending.get(id)?.answer;
      pending.delete(id);
      // The answer of a worker may interrupt whatever code is running.
      if (answer !== undefined) later(() => answer(result));
    });
    session.post("NodeWorker.enable", { waitForDebuggerOnStart: false });
  }

  /** `answer` is not called if the worker ends first. Returns whether the worker is known. */
  send(name: string, method: string, params: object, answer: Answer): boolean {
    const sessionId = this.sessionIds.get(name);
    if (sessionId === undefined) return false;
    const id = ++this.lastId;
    this.pending.set(id, { sessionId, answer });
    this.session.post(
      "NodeWorker.sendMessageToWorker",
      { sessionId, message: JSON.stringify({ id, method, params }) },
      (error) => {
        if (error !== null) this.pending.delete(id);
      },
    );
    return true;
  }
}

let inspector: Inspector | undefined;

export class HeapGauge {
  private readonly name: string;
  private readonly limit: number;
  private readonly exceeded: (bytes: number) => void;
  private readonly timer: ReturnType<typeof setInterval>;
  /** For how many intervals an answer is awaited. 0: none is. */
  private awaited = 0;
  private isCollecting = false;
  /** The garbage has been collected since the last measurement. */
  private isCollected = false;
  private isStopped = false;

  /**
   * @param name of the worker: {@link workerName}
   * @param limit in bytes. `exceeded` is called when more is needed, garbage not counted
   */
  constructor(name: string, limit: number, exceeded: (bytes: number) => void) {
    inspector ??= new Inspector();
    this.name = name;
    this.limit = limit;
    this.exceeded = exceeded;
    this.timer = systemTimers.startInterval(() => {
      if (this.awaited === 0 || this.awaited++ > MAX_AWAITED) this.measure();
    }, INTERVAL);
  }

  stop(): void {
    this.isStopped = true;
    systemTimers.stopInterval(this.timer);
  }

  private measure(): void {
    const isSent = inspector!.send(
      this.name,
      "Runtime.evaluate",
      { expression: NEEDED, returnByValue: true },
      (answer) => {
        this.awaited = 0;
        const bytes = answer?.result?.value;
        if (typeof bytes === "number" && !this.isStopped) this.judge(bytes);
      },
    );
    this.awaited = isSent ? 1 : 0;
  }

  /**
   * Part of it may be garbage, which can be collected when the callback has returned. A callback that needs twice as
   * much, and has not returned since the last measurement, is not waited for.
   */
  private judge(bytes: number): void {
    const isOver = bytes > this.limit;
    if ((isOver && this.isCollected) || (bytes > 2 * this.limit && this.isCollecting)) this.exceeded(bytes);
    else if (isOver && !this.isCollecting) this.collect();
    this.isCollected = false;
  }

  /** V8 frees the memory of Buffers on another thread: it no longer counts when the next collection begins. */
  private collect(): void {
    inspector!.send(this.name, "HeapProfiler.collectGarbage", {}, () => undefined);
    this.isCollecting = inspector!.send(this.name, "HeapProfiler.collectGarbage", {}, () => {
      this.isCollecting = false;
      this.isCollected = true;
    });
  }
}
