/** `connect`: runs a handler without a server, with the real session, a client in memory and a manual clock. */

import { captureContext } from "../adapters/shared/async-context.ts";
import { microtask } from "../adapters/shared/timers.ts";
import { codedError } from "../error-codes.ts";
import type { ControlMessage, DataMessage } from "../message.ts";
import { type ResolvedOptions, resolveOptions, type WebSockOptions } from "../options.ts";
import { portableByteOps } from "../protocol/byte-ops.ts";
import type { CloseFrame } from "../protocol/close.ts";
import { utf8Length } from "../protocol/utf8.ts";
import type { AsyncContext } from "../session/async-context.ts";
import type { Callbacks } from "../session/handler.ts";
import { Session } from "../session/session.ts";
import { callbacksFor, type UpgradeArguments } from "../upgrade-arguments.ts";
import type { CloseReason, ConnectionInfo, WebSock } from "../websock.ts";
import { Activity } from "./activity.ts";
import type { ManualClock } from "./manual-clock.ts";
import { capabilities, MemoryTransport, type ReceivedMessage } from "./memory-transport.ts";

/** How a connection ended. */
export interface Ended {
  /** The close code that the server sent; `undefined` if it sent no close frame, or one without a code. */
  readonly code: number | undefined;
  /** The close reason text that the server sent; empty if there was none. */
  readonly text: string;
  /** Why the connection ended: what `terminate` receives. */
  readonly reason: CloseReason;
}

/**
 * Runs `handler` for one connection in memory, and returns the client of this connection. The promise resolves when
 * `init` has settled, even if it failed.
 *
 * ```ts
 * const client = await connect(Echo, "hello");
 * client.send("hi");
 * expect(await client.receive()).toEqual({ opcode: "text", data: "hello" }); // pushed by the `init` of Echo
 * expect(await client.receive()).toEqual({ opcode: "text", data: "hi" });
 * ```
 *
 * @param handler a module, an object or a class instance with the callbacks of `WebSock`
 * @param arg the value that `init` receives as its first argument. May be omitted if `init` takes none
 * @param options options of `upgrade`. Those of the handshake (`origins`, `subprotocols`, `headers`, …), of frames
 * (`maxFrameSize`, `maxFragments`) and of compression have no effect, nor has `maxMessageSize`
 * @returns a promise of the client
 * @throws TypeError for an invalid handler, an unknown or invalid option, and options in the place of `arg`
 */
export const connect = async <Arg, State, Info = never>(
  handler: WebSock<Arg, State, Info>,
  ...[arg, options]: UpgradeArguments<NoInfer<Arg>>
): Promise<TestClient<Info>> => {
  const { client, initialized } = begin<Info>(handler, arg, options);
  await initialized;
  return client;
};

/**
 * @internal Like {@link connect}, but returns synchronously: the client, and a promise that resolves when `init` has
 * settled.
 */
export const begin = <Info>(handler: object, arg: unknown, options?: WebSockOptions): Begun<Info> =>
  beginSession(callbacksFor(handler, arg, options), arg, resolveOptions(options), {}, captureContext());

interface Begun<Info> {
  readonly client: TestClient<Info>;
  /** Resolves when `init` has settled. */
  readonly initialized: Promise<void>;
}

/** @internal Starts a session with a client in memory. */
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
      capabilities,
      options,
      clock: client.clock,
      byteOps: portableByteOps,
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

/** @internal The facts of a connection in memory. */
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

/**
 * The client of a connection in memory. It also controls the clock of the connection.
 *
 * @typeParam Info the type of the infos that the handler receives. Default: none
 */
export class TestClient<in Info = never> {
  /** All messages that the client has received so far, including pings and pongs. */
  readonly received: ReceivedMessage[] = [];
  /** All errors so far that a server would have reported to `onError`. */
  readonly errors: unknown[] = [];
  /** Resolves with the close frame of the server, or with `undefined` if the connection ends without one. */
  readonly closed: Promise<CloseFrame | undefined>;
  /** Resolves when the connection is closed and `terminate` has finished. */
  readonly ended: Promise<Ended>;
  /** Whether the client answers pings, including heartbeats. Default: `true`. */
  answersPings = true;
  /** Whether the client answers a close frame of the server. `false` simulates a client that hangs. Default: `true`. */
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
  private disconnected = false;
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

  /**
   * Sends a string as a text message, and anything else as a binary message. While the server has paused reading,
   * messages are held back.
   *
   * @param data a string is sent as text, bytes as binary
   */
  send(data: string | Uint8Array | ArrayBuffer): void {
    if (typeof data === "string") {
      this.sendMessage({ opcode: "text", data }, utf8Length(data));
    } else {
      const bytes = new Uint8Array(data);
      this.sendMessage({ opcode: "binary", data: bytes }, bytes.length);
    }
  }

  /**
   * Sends a ping. The pong of the server is received like a message.
   *
   * @param data the payload. Default: empty
   */
  ping(data = ""): void {
    this.sendControl({ opcode: "ping", data: encoder.encode(data) });
  }

  /**
   * Sends an unsolicited pong.
   *
   * @param data the payload. Default: empty
   */
  pong(data = ""): void {
    this.sendControl({ opcode: "pong", data: encoder.encode(data) });
  }

  /**
   * Sends a close frame, unless the client has already sent one. Without `code`, its payload is empty.
   *
   * @param code the close code
   * @param text the close reason text
   */
  close(code?: number, text = ""): void {
    if (this.closeSent) return;
    this.closeSent = true;
    this.transmit(() => {
      this.session.onActivity();
      this.session.onClose(code, text);
    });
  }

  /** Disconnects without sending a close frame. */
  drop(): void {
    this.disconnect();
  }

  /** Sends `info` to the handler's `handleInfo`, like `self.send`. Returns the same value as `self.send`. */
  info(info: Info): boolean {
    return this.session.deliver(info);
  }

  /**
   * Returns the next message that no earlier call of `receive` has returned, and waits for it if necessary.
   *
   * @throws Error if the connection ends before another message arrives
   */
  async receive(): Promise<ReceivedMessage> {
    while (this.next >= this.received.length) {
      if (this.disconnected || this.closeFrame !== undefined)
        throw codedError("WEBSOCK_TEST_CONNECTION_ENDED", "the connection ended before another message arrived");
      await new Promise<void>((resolve) => {
        this.waiters.push(resolve);
      });
    }
    return this.received[this.next++]!;
  }

  /**
   * Resolves when the connection is idle: no callback is pending, no info waits in the mailbox, and no message of the
   * client waits to be handled, except those that the server holds back until the client reads again. Unless the client
   * has stopped reading, {@link received} then contains everything that the server has sent, so a test can assert that
   * the server has sent nothing else.
   *
   * ```ts
   * client.send("hello");
   * await client.settled();
   * expect(client.received).toEqual([]);
   * ```
   *
   * The promise stays pending while a callback is pending. If a callback is waiting for the test to do something, do
   * that before calling `settled`. `settled` does not wait for timers or I/O, unless a callback has returned a promise
   * for them. Nor does it wait for other connections that will send to this one: await `settled` of the sending client
   * first.
   */
  settled(): Promise<void> {
    return this.activity.settled();
  }

  /** Moves the clock of the connection forward by `ms` milliseconds, which runs the timeouts that become due. */
  advance(ms: number): void {
    this.clock.advance(ms);
  }

  /**
   * The client stops reading, until {@link resumeReading}. Messages from the server are buffered, as for a slow
   * consumer, and are not added to {@link received}.
   */
  stopReading(): void {
    this.transport.setReading(false);
  }

  /** Reads the buffered messages into {@link received}, and continues reading. */
  resumeReading(): void {
    if (this.transport.setReading(true)) this.session.onDrain();
  }

  /**
   * Closes the connection in the same way as `close()` (1001, the default) or `drain()` (1012) of a server.
   *
   * @param code 1001 as when the server closes, or 1012 as when it drains. Default: 1001
   */
  shutdown(code: 1001 | 1012 = 1001): void {
    this.session.shutdown(code);
  }

  /** @internal The session has ended. */
  onEnd(reason: CloseReason): void {
    this.activity.end();
    this.resolveEnded({ code: this.closeFrame?.code, text: this.closeFrame?.text ?? "", reason });
  }

  // --- events of the transport

  private onMessage(message: ReceivedMessage): void {
    this.received.push(message);
    this.wakeUp();
    if (message.opcode !== "ping" || !this.answersPings) return;
    // Asynchronously, as with a network.
    microtask(() => this.sendControl({ opcode: "pong", data: message.data }));
  }

  private onClose(frame: CloseFrame): void {
    this.closeFrame = frame;
    this.resolveClosed(frame);
    this.wakeUp();
    if (!this.closeSent && !this.answersClose) return;
    microtask(() => {
      if (!this.closeSent) this.session.onClose(frame.code, "");
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
      this.session.onActivity();
      if (message.opcode === "text") this.session.onText(message.data, size);
      else this.session.onBinary(message.data);
    });
  }

  private sendControl(message: ControlMessage): void {
    this.transmit(() => {
      this.session.onActivity();
      if (message.opcode === "ping" && !this.session.endDecided)
        this.transport.send("pong", message.data, message.data.length);
      this.session.onControl(message);
    });
  }

  private transmit(arrive: () => void): void {
    if (this.disconnected) return;
    if (this.transport.paused || this.outgoing.length > 0) this.outgoing.push(arrive);
    else arrive();
  }

  private disconnect(): void {
    if (this.disconnected) return;
    this.disconnected = true;
    this.outgoing.length = 0;
    this.session.onDisconnect();
    this.resolveClosed(undefined);
    this.wakeUp();
  }
}
