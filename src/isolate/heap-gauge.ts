/**
 * `maxHeapSize`: measures the memory of a worker, from the main thread.
 *
 * V8 enforces `resourceLimits`, but that does not protect the others: when a single allocation (an array or a `Set` that
 * grows) exceeds the limit by more than 16 MB, V8 aborts the whole process, and Buffers are not in the limit at all. So
 * V8 gets a higher limit, and the memory is measured here. An inspector session interrupts the worker, so it answers also
 * while a callback does not return.
 */
import { Session } from "node:inspector";
import { systemTimers } from "../adapters/shared/timers.ts";

const INTERVAL = 50;

/** A sum of bytes. `external` contains the memory of Buffers and ArrayBuffers. */
const NEEDED = "(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())";

type Answer = (result: { readonly result?: { readonly value?: unknown } } | undefined) => void;

/** Sends commands to the inspectors of workers. There is one for all pools. */
class Inspector {
  private readonly session = new Session();
  /** By thread id. */
  private readonly sessionIds = new Map<string, string>();
  private readonly answers = new Map<number, Answer>();
  private lastId = 0;

  constructor() {
    const { session, sessionIds } = this;
    session.connect();
    session.on("NodeWorker.attachedToWorker", ({ params }) => {
      sessionIds.set(params.workerInfo.workerId, params.sessionId);
    });
    session.on("NodeWorker.detachedFromWorker", ({ params }) => {
      for (const [thread, id] of sessionIds) if (id === params.sessionId) sessionIds.delete(thread);
    });
    session.on("NodeWorker.receivedMessageFromWorker", ({ params }) => {
      const { id, result } = JSON.parse(params.message) as { id: number; result: Parameters<Answer>[0] };
      const answer = this.answers.get(id);
      this.answers.delete(id);
      answer?.(result);
    });
    session.post("NodeWorker.enable", { waitForDebuggerOnStart: false });
  }

  /** `answer` is not called if the worker ends first. Returns whether the worker is known. */
  send(thread: number, method: string, params: object, answer: Answer): boolean {
    const sessionId = this.sessionIds.get(String(thread));
    if (sessionId === undefined) return false;
    const id = ++this.lastId;
    this.answers.set(id, answer);
    this.session.post(
      "NodeWorker.sendMessageToWorker",
      { sessionId, message: JSON.stringify({ id, method, params }) },
      (error) => {
        if (error !== null) this.answers.delete(id);
      },
    );
    return true;
  }
}

let inspector: Inspector | undefined;

export class HeapGauge {
  private readonly thread: number;
  private readonly limit: number;
  private readonly exceeded: (bytes: number) => void;
  private readonly timer: ReturnType<typeof setInterval>;
  private isMeasuring = false;
  private isCollecting = false;
  /** The garbage has been collected since the last measurement. */
  private isCollected = false;
  private isStopped = false;

  /** @param limit in bytes. `exceeded` is called when more is needed, garbage not counted */
  constructor(thread: number, limit: number, exceeded: (bytes: number) => void) {
    inspector ??= new Inspector();
    this.thread = thread;
    this.limit = limit;
    this.exceeded = exceeded;
    this.timer = systemTimers.startInterval(() => {
      if (!this.isMeasuring) this.measure();
    }, INTERVAL);
  }

  stop(): void {
    this.isStopped = true;
    systemTimers.stopInterval(this.timer);
  }

  private measure(): void {
    this.isMeasuring = inspector!.send(
      this.thread,
      "Runtime.evaluate",
      { expression: NEEDED, returnByValue: true },
      (answer) => {
        this.isMeasuring = false;
        const bytes = answer?.result?.value;
        if (typeof bytes === "number" && !this.isStopped) this.judge(bytes);
      },
    );
  }

  /**
   * Part of it may be garbage. It can be collected when the callback has returned; a callback that needs twice as much
   * until then is not waited for.
   */
  private judge(bytes: number): void {
    const isOver = bytes > this.limit;
    if (bytes > 2 * this.limit || (isOver && this.isCollected)) this.exceeded(bytes);
    else if (isOver && !this.isCollecting) this.collect();
    this.isCollected = false;
  }

  private collect(): void {
    this.isCollecting = inspector!.send(this.thread, "HeapProfiler.collectGarbage", {}, () => {
      this.isCollecting = false;
      this.isCollected = true;
    });
  }
}
