/** The sessions in a worker: executes the records of the main thread. */
import { rootContext } from "../../adapters/shared/async-context.ts";
import { nodeByteOps } from "../../adapters/shared/node-byte-ops.ts";
import { systemClock } from "../../adapters/shared/system-clock.ts";
import { DEFAULT_OPTIONS } from "../../options.ts";
import type { Gap } from "../../pubsub/options.ts";
import { NEVER } from "../../session/clock.ts";
import type { Callbacks } from "../../session/handler.ts";
import { type ConnectionFacts, SessionSelf, type TopicSession } from "../../session/self.ts";
import { Session, type SessionEnvironment } from "../../session/session.ts";
import type { Outbox } from "../outbox.ts";
import { type PackedReason, packError, unpackReason } from "../packed-error.ts";
import {
  BINARY,
  CALLED,
  type ConnectionSettings,
  END,
  FLUSHED,
  GAP,
  INFO,
  OPEN,
  PEER_CLOSED,
  PEER_LOST,
  PING,
  PONG,
  RELEASED,
  REPORT,
  sizeOf,
  TEXT,
  WIDTHS_TO_WORKER,
  type WorkerSettings,
} from "../records.ts";
import { type ConnectionWorker, PortConnection } from "./connection.ts";

/**
 * For the sessions of a worker, the main thread is the host. The session there knows whether the client is alive and
 * reads.
 */
const CAPABILITIES: SessionEnvironment["capabilities"] = {
  host: "isolate",
  control: true,
  pause: true,
  answersClose: true,
  crossConnection: true,
  idleClock: true,
};

/** The shared `PubSub` of the worker. */
export interface SharedCaller {
  /** The result of a call. */
  onCalled(call: number, result: unknown): void;
  /** The info of a gap. */
  onGap(connection: number, subscription: number, gap: Gap, deliver: (info: unknown) => void): void;
  /** The connection has ended. */
  forget(connection: number): void;
}

interface Served {
  readonly connection: PortConnection;
  readonly session: Session;
}

export class Sessions implements ConnectionWorker {
  readonly outbox: Outbox;
  readonly maxPending: number;
  private readonly callbacks: Callbacks;
  private readonly progress: Int32Array;
  private readonly ids: WeakMap<TopicSession, number>;
  private readonly caller: SharedCaller | undefined;
  private readonly served = new Map<number, Served>();

  /** @param ids the numbers of the connections, for the shared `PubSub` */
  constructor(
    callbacks: Callbacks,
    outbox: Outbox,
    { maxPending, progress }: WorkerSettings,
    ids: WeakMap<TopicSession, number>,
    caller: SharedCaller | undefined,
  ) {
    this.callbacks = callbacks;
    this.outbox = outbox;
    this.maxPending = maxPending;
    this.progress = progress;
    this.ids = ids;
    this.caller = caller;
  }

  progressed(): void {
    Atomics.add(this.progress, 0, 1);
  }

  execute(records: readonly unknown[]): void {
    for (let at = 0; at < records.length; at += WIDTHS_TO_WORKER[records[at] as number]!) {
      this.progressed();
      this.executeOne(records[at] as number, records[at + 1] as number, records, at + 2);
    }
  }

  /** A record could not be cloned. */
  onRefused([, id]: readonly unknown[], error: unknown): void {
    const served = this.served.get(id as number);
    if (served === undefined) {
      this.outbox.add(REPORT, 0, packError(error), undefined);
      return;
    }
    served.session.reportError(error);
    served.session.stopNow(error);
  }

  private executeOne(kind: number, id: number, records: readonly unknown[], at: number): void {
    if (kind === OPEN) {
      this.open(id, records[at], records[at + 1] as ConnectionFacts, records[at + 2] as ConnectionSettings);
      return;
    }
    if (kind === CALLED) this.caller?.onCalled(records[at] as number, records[at + 1]);
    const served = this.served.get(id);
    if (served === undefined) return;
    const { connection, session } = served;
    switch (kind) {
      case TEXT:
      case BINARY:
      case PING:
      case PONG:
        this.receive(served, kind, records[at] as string | Uint8Array<ArrayBuffer>);
        break;
      case INFO:
      case GAP:
        connection.arrive(0);
        try {
          if (kind === INFO) session.deliver(records[at]);
          else this.caller!.onGap(id, records[at] as number, records[at + 1] as Gap, (info) => session.deliver(info));
        } catch (error) {
          session.reportError(error);
        }
        connection.acknowledge();
        break;
      case PEER_CLOSED:
        session.onActivity();
        session.onClose(records[at] as number | undefined, records[at + 1] as string);
        break;
      case PEER_LOST:
        connection.lose();
        break;
      case END:
        session.endAs(unpackReason(records[at] as PackedReason), records[at + 1] as boolean);
        break;
      case FLUSHED:
        connection.flushed(records[at] as number, records[at + 1] as number);
    }
  }

  private receive(
    { connection, session }: Served,
    kind: typeof TEXT | typeof BINARY | typeof PING | typeof PONG,
    data: string | Uint8Array<ArrayBuffer>,
  ): void {
    const size = sizeOf(data);
    connection.arrive(size);
    session.onActivity();
    if (typeof data === "string") session.onText(data, size);
    else if (kind === BINARY) session.onBinary(data);
    else {
      session.onControl({ opcode: kind === PING ? "ping" : "pong", data });
      // Without "handleControl", no callback tells that it was handled.
      connection.acknowledge();
    }
  }

  private open(id: number, arg: unknown, facts: ConnectionFacts, settings: ConnectionSettings): void {
    const { uuid, maxBuffered, closeTimeout } = settings;
    const connection = new PortConnection(id, this, maxBuffered);
    const environment: SessionEnvironment = {
      capabilities: CAPABILITIES,
      options: { ...DEFAULT_OPTIONS, timeout: NEVER, heartbeat: NEVER, maxBuffered, closeTimeout },
      clock: systemClock,
      byteOps: nodeByteOps,
      onError: (error, context) => this.outbox.add(REPORT, id, packError(error), context?.callback),
      onEnd: () => this.release(id),
    };
    const session = new Session(this.callbacks, connection, facts, environment, rootContext);
    SessionSelf.identify(session.self, uuid);
    connection.serve(session);
    this.ids.set(session, id);
    this.served.set(id, { connection, session });
    session.start(arg);
  }

  private release(id: number): void {
    this.served.delete(id);
    this.caller?.forget(id);
    this.outbox.add(RELEASED, id);
  }
}
