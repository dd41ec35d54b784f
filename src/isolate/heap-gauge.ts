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

/** In bytes. `external` contains the memory of Buffers and ArrayBuffers. */
const MEMORY = "(({ heapUsed, external }) => [heapUsed, external])(process.memoryUsage())";

/** The name for the objects that {@link HeapGauge} refers to in a worker, with which they are released. */
const OBJECT_GROUP = "websock-js";

interface Evaluated {
  readonly result?: { readonly value?: unknown; readonly objectId?: unknown };
}

type Answer = (result: Evaluated | undefined) => void;

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
  /** The garbage will be collected when the callback has returned. */
  private isCollecting = false;
  private isVerifying = false;
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
    const isSent = this.evaluate((heap, external) => {
      this.awaited = 0;
      this.judge(heap, external);
    });
    this.awaited = isSent ? 1 : 0;
  }

  /** @param measured receives the bytes of the heap and of Buffers, garbage included */
  private evaluate(measured: (heap: number, external: number) => void): boolean {
    return this.send("Runtime.evaluate", { expression: MEMORY, returnByValue: true }, (evaluated) => {
      const [heap = 0, external = 0] = (evaluated?.result?.value ?? []) as number[];
      measured(heap, external);
    });
  }

  private send(method: string, params: object, answered: Answer = () => undefined): boolean {
    return inspector!.send(this.name, method, params, (result) => {
      if (!this.isStopped) answered(result);
    });
  }

  /** A callback that needs twice as much is not waited for. */
  private judge(heap: number, external: number): void {
    const isOver = heap + external > this.limit;
    if (isOver && (this.isCollecting || heap > 2 * this.limit)) this.check(heap, external, 2 * this.limit);
    else if (isOver) this.collect();
  }

  /** What is over the limit may be garbage. */
  private collect(): void {
    this.isCollecting = this.send("HeapProfiler.collectGarbage", {}, () => {
      this.isCollecting = false;
      this.evaluate((heap, external) => this.check(heap, external, this.limit));
    });
  }

  /** V8 keeps the garbage of a heap small by itself, but not that of Buffers. */
  private check(heap: number, external: number, limit: number): void {
    if (heap > limit) this.exceeded(heap + external);
    else if (heap + external > limit) this.verify();
  }

  /**
   * Measures without garbage, also while a callback does not return: `queryObjects` collects all of it first. (After
   * `collectGarbage`, Buffers still count that V8 is freeing on another thread, and so does what was allocated since.)
   * It takes a tenth of a second or more, for which the worker stands still.
   */
  private verify(): void {
    if (this.isVerifying) return;
    const prototype = { expression: "(class {}).prototype", objectGroup: OBJECT_GROUP };
    this.isVerifying = this.send("Runtime.evaluate", prototype, (evaluated) => {
      // The three commands are executed one directly after the other.
      this.send("Runtime.queryObjects", {
        prototypeObjectId: evaluated?.result?.objectId,
        objectGroup: OBJECT_GROUP,
      });
      this.evaluate((heap, external) => {
        this.isVerifying = false;
        if (heap + external > this.limit) this.exceeded(heap + external);
      });
      this.send("Runtime.releaseObjectGroup", { objectGroup: OBJECT_GROUP });
    });
  }
}
