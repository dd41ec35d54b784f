/** Runs a handler without a server: the real session, a client in memory, and a clock that is moved by hand. */
import { captureContext } from "../adapters/shared/async-context.ts";
import { soon } from "../adapters/shared/timers.ts";
import type { ControlMessage, DataMessage } from "../message.ts";
import { type ResolvedOptions, resolveOptions, type WebSockOptions } from "../options.ts";
import { portableOctets } from "../protocol/byte-ops.ts";
import type { CloseFrame } from "../protocol/close.ts";
import { utf8Length } from "../protocol/utf8.ts";
import type { AsyncContext } from "../session/async-context.ts";
import type { Callbacks } from "../session/handler.ts";
import { Session } from "../session/session.ts";
import { callbacksFor, type UpgradeArguments } from "../upgrade-arguments.ts";
import type { CloseReason, ConnectionInfo, WebSock } from "../websock.ts";
import { Activity } from "./activity.ts";
import type { ManualClock } from "./manual-clock.ts";
import { MemoryTransport, type ReceivedMessage } from "./memory-transport.ts";

/** How a connection ended, as the client and as `terminate` saw it. */
export interface Ended {
  /** The code of the server's close frame; `undefined` if there was none, or if it was empty. */
  readonly code: number | undefined;
  /** The text of the server's close frame. */
  readonly text: string;
  /** What `terminate` was given. */
  readonly reason: CloseReason;
}

/**
 * Connects a client to `handler`, as a server would, and resolves when `init` has settled.
 *
 * ```ts
 * const client = await connect(Echo, "hello");
 * client.send("hi");
 * expect(await client.receive()).toEqual({ opcode: "text", data: "hello" }); // what the `init` of the README's Echo pushes
 * expect(await client.receive()).toEqual({ opcode: "text", data: "hi" });
 * ```
 *
 * @param handler a module, an object or a class instance with the callbacks of `WebSock`
 * @param arg what `init` takes
 * @param options as of `upgrade`
 * @throws TypeError for an option or a callback that does not exist, and for options in the place of `arg`
 */
export const connect = async <Arg, State, Info = never>(
  handler: WebSock<Arg, State, Info>,
  ...[arg, options]: UpgradeArguments<NoInfer<Arg>>
): Promise<TestClient<Info>> => {
  const { client, initialized } = begin<Info>(handler, arg, options);
  await initialized;
  return client;
};

/** The same, without waiting for `init`. */
export const begin = <Info>(handler: object, arg: unknown, options?: WebSockOptions): Begun<Info> =>
  beginSession(callbacksFor(handler, arg, options), arg, resolveOptions(options), {}, captureContext());

interface Begun<Info> {
  readonly client: TestClient<Info>;
  /** `init` has settled. */
  readonly initialized: Promise<void>;
}

/** Runs what `upgrade` has decided on. */
export const beginSession = <Info>(
  callbacks: Callbacks,
  arg: unknown,
  options: ResolvedOptions,
  facts: Partial<ConnectionInfo>,
  asyncContext: AsyncContext | undefined,
): Begun<Info> => {
  const client = new TestClient<Info>();
  const watched = client.activity.watch(callbacks);
  let result: unknown;
  const session = new Session(
    { ...watched, init: (...args) => (result = watched.init(...args)) },
    client.transport,
    { ...FACTS, ...facts },
    {
      options,
      clock: client.clock,
      octets: portableOctets,
      onError: (error) => client.errors.push(error),
      onEnd: (ended) => client.onEnd(ended.endedBy!),
    },
    asyncContext,
  );
  client.open(session);
  session.start(arg);
  const initialized = Promise.resolve(result).then(
    () => undefined,
    () => undefined,
  );
  return { client, initialized };
};

/** Of a connection that is in memory only. */
export const FACTS: ConnectionInfo = {
  remoteAddress: "127.0.0.1",
  remotePort: 50_000,
  httpVersion: "1.1",
  method: "GET",
  path: "/",
  subprotocol: undefined,
  compression: undefined,
  closeCode: undefined,
  closeText: undefined,
};

const encoder = new TextEncoder();

/** The other end of the connection, and the hands of the clock. */
export class TestClient<in Info = never> {
  /** Every message so far. */
  readonly received: ReceivedMessage[] = [];
  /** What was reported to `onError`. */
  readonly errors: unknown[] = [];
  /** Resolves with the server's close frame when it arrives, or with `undefined` if the connection is gone without one. */
  readonly closed: Promise<CloseFrame | undefined>;
  /** Resolves when the connection is gone and `terminate` is done. */
  readonly ended: Promise<Ended>;
  /** Whether pings of the server are answered, heartbeats among them; they are among the messages received all the same. */
  answersPings = true;
  /** Whether a close frame of the server is answered; `false` is a client that hangs. */
  answersClose = true;

  /** @internal */
  readonly activity = new Activity();
  /** @internal */
  readonly clock: ManualClock = this.activity.clock;
  /** @internal */
  readonly transport = new MemoryTransport({
    onMessage: (message) => this.onMessage(message),
    onClose: (frame) => this.onClose(frame),
    onAbort: () => this.disconnect(),
    onResume: () => this.onResume(),
  });

  private session!: Session;
  private closeFrame: CloseFrame | undefined;
  private closeSent = false;
  private gone = false;
  private next = 0;
  private waiters: (() => void)[] = [];
  private readonly outgoing: (() => void)[] = [];
  private resolveClosed!: (frame: CloseFrame | undefined) => void;
  private resolveEnded!: (ended: Ended) => void;

  /** @internal */
  constructor() {
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve;
    });
  }

  /** @internal */
  open(session: Session): void {
    this.session = session;
  }

  /** Sends a message: text for a string, else binary. It waits here while the server does not read. */
  send(data: string | Uint8Array | ArrayBuffer): void {
    if (typeof data === "string") {
      this.sendMessage({ opcode: "text", data }, utf8Length(data));
    } else {
      const bytes = new Uint8Array(data);
      this.sendMessage({ opcode: "binary", data: bytes }, bytes.length);
    }
  }

  /** Sends a ping; the server's pong arrives like a message. */
  ping(data = ""): void {
    this.sendControl({ opcode: "ping", data: encoder.encode(data) });
  }

  /** Sends a pong. */
  pong(data = ""): void {
    this.sendControl({ opcode: "pong", data: encoder.encode(data) });
  }

  /** Sends a close frame. No code: an empty one. */
  close(code?: number, text = ""): void {
    if (this.closeSent) return;
    this.closeSent = true;
    this.transmit(() => {
      this.session.received();
      this.session.closing(code, text);
    });
  }

  /** Is gone, without a close frame. */
  drop(): void {
    this.disconnect();
  }

  /** Sends `info` to the connection's own `handleInfo`, as `self.send` does. */
  info(info: Info): boolean {
    return this.session.deliver(info);
  }

  /**
   * The next message that was not received this way yet, as soon as it is there.
   *
   * @throws Error if the connection ends without one
   */
  async receive(): Promise<ReceivedMessage> {
    while (this.next >= this.received.length) {
      if (this.gone || this.closeFrame !== undefined)
        throw new Error("the connection ended before another message arrived");
      await new Promise<void>((resolve) => {
        this.waiters.push(resolve);
      });
    }
    return this.received[this.next++]!;
  }

  /**
   * Resolves when nothing more happens by itself: no callback is pending, no info is queued, and every message that was
   * sent has been handled, or is held back until the client reads again. What the server sends by then is in
   * {@link received}, so that a test can say that nothing else has come.
   *
   * ```ts
   * client.send("hello");
   * await client.settled();
   * expect(client.received).toEqual([]);
   * ```
   *
   * A callback that is pending is waited for, whatever it awaits; where it waits for something that the test does later, call
   * `settled` after that. It cannot know what the application has started without returning its promise: timers, I/O,
   * and what a callback of another connection will send here. Settle the sender first.
   */
  settled(): Promise<void> {
    return this.activity.settled();
  }

  /** Lets time pass. */
  advance(ms: number): void {
    this.clock.advance(ms);
  }

  /** Stops taking what the server sends, until {@link resumeReading}. */
  stopReading(): void {
    this.transport.setReading(false);
  }

  resumeReading(): void {
    if (this.transport.setReading(true)) this.session.drained();
  }

  /** The server closes (1001), or drains for a restart (1012). */
  shutdown(code: 1001 | 1012 = 1001): void {
    this.session.shutdown(code);
  }

  /** @internal The session is over. */
  onEnd(reason: CloseReason): void {
    this.activity.end();
    this.resolveEnded({ code: this.closeFrame?.code, text: this.closeFrame?.text ?? "", reason });
  }

  // --- events of the transport

  private onMessage(message: ReceivedMessage): void {
    this.received.push(message);
    this.wakeUp();
    if (message.opcode !== "ping" || !this.answersPings) return;
    // Not in the server's stack, as over a network.
    soon(() => this.sendControl({ opcode: "pong", data: message.data }));
  }

  private onClose(frame: CloseFrame): void {
    this.closeFrame = frame;
    this.resolveClosed(frame);
    this.wakeUp();
    if (!this.closeSent && !this.answersClose) return;
    soon(() => {
      if (!this.closeSent) this.session.closing(frame.code, "");
      this.disconnect();
    });
  }

  private onResume(): void {
    while (this.outgoing.length > 0 && !this.transport.paused) this.outgoing.shift()!();
  }

  private wakeUp(): void {
    for (const resolve of this.waiters.splice(0)) resolve();
  }

  private sendMessage(message: DataMessage, size: number): void {
    this.transmit(() => {
      this.session.received();
      if (message.opcode === "text") this.session.text(message.data, size);
      else this.session.binary(message.data);
    });
  }

  private sendControl(message: ControlMessage): void {
    this.transmit(() => {
      this.session.received();
      if (message.opcode === "ping" && !this.session.ended)
        this.transport.send("pong", message.data, message.data.length);
      this.session.control(message);
    });
  }

  private transmit(arrive: () => void): void {
    if (this.gone) return;
    if (this.transport.paused || this.outgoing.length > 0) this.outgoing.push(arrive);
    else arrive();
  }

  private disconnect(): void {
    if (this.gone) return;
    this.gone = true;
    this.outgoing.length = 0;
    this.session.disconnected();
    this.resolveClosed(undefined);
    this.wakeUp();
  }
}
