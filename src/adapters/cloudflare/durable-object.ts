/** Connections of Durable Objects, stored in the attachments of their sockets during hibernation. */
import { codedTypeError } from "../../error-codes.ts";
import type { ResolvedOptions, UpgradeRequest } from "../../options.ts";
import { portableByteOps } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { PubSub } from "../../pubsub/pubsub.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import { type Callback, type Callbacks, callbacksOf } from "../../session/handler.ts";
import { type ConnectionFacts, SessionSelf, type TopicHome } from "../../session/self.ts";
import type { Session } from "../../session/session.ts";
import type { StoredTopics } from "../../transport.ts";
import { FetchUpgrade, guardFetch } from "../fetch/upgrade.ts";
import { rootContext } from "../shared/async-context.ts";
import type { HostOptions } from "../shared/attachment.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import { SystemClock } from "../shared/system-clock.ts";
import { durableCapabilities } from "./capabilities.ts";
import { cloudflareDiagnostics } from "./diagnostics.ts";
import { CloudflareHost } from "./host.ts";
import { CloudflareTransport, type Reporter } from "./transport.ts";
import { CLOSED, type CloudflareSocket, type DurableObjectContext } from "./types.ts";
import { openPair, peerOf } from "./worker.ts";

/**
 * A connection as stored in its socket's attachment. `websock` distinguishes it from attachments of the application.
 */
interface StoredConnection {
  readonly websock: 1;
  /** The handler's name in the arguments of `attach`. */
  readonly handler: string;
  readonly id: string;
  readonly facts: ConnectionFacts;
  readonly limits: Pick<ResolvedOptions, "maxMessageSize" | "closeTimeout">;
  /** There is no state to resume with: `init` has not settled, or the connection is ending. */
  readonly over: boolean;
  readonly state: unknown;
  /** Missing if an older version has stored the connection. */
  readonly topics?: StoredTopics;
}

const storedConnectionOf = (socket: CloudflareSocket): StoredConnection | undefined => {
  const attachment = socket.deserializeAttachment() as StoredConnection | null;
  return attachment?.websock === 1 ? attachment : undefined;
};

/** Closes a socket whose handler has ended, or was lost before it had a state. */
const closeAbandoned = (socket: CloudflareSocket): void => {
  try {
    socket.close(CLOSE.internalError);
  } catch {
    // The socket is already closed.
  }
};

class DurableTransport extends CloudflareTransport {
  private readonly metadata: Omit<StoredConnection, "id" | "over" | "state" | "topics">;

  private readonly forget: () => void;
  private ended = false;
  private over = true;
  private state: unknown = undefined;
  topics: StoredTopics = [];

  constructor(socket: CloudflareSocket, about: DurableTransport["metadata"], reports: Reporter, forget: () => void) {
    super(socket, about.limits.maxMessageSize, reports, durableCapabilities);
    this.metadata = about;
    this.forget = forget;
  }

  session!: Session;

  /** Marks the socket as one of ours. */
  claim(): void {
    this.store();
  }

  /** Continues with what was stored. */
  restore({ state, topics = [] }: StoredConnection): void {
    this.over = false;
    this.state = state;
    this.topics = topics;
  }

  keep(state: unknown): void {
    const previous = { over: this.over, state: this.state };
    this.over = false;
    this.state = state;
    try {
      this.store();
    } catch (error) {
      Object.assign(this, previous);
      throw codedTypeError(
        "WEBSOCK_STATE_NOT_STORED",
        "the state of a connection in a Durable Object must be cloneable and fit into the socket's attachment; keep large " +
          `data in ctx.storage and only its key in the state (${(error as Error).message})`,
        { cause: error },
      );
    }
  }

  keepTopics(topics: StoredTopics): void {
    if (this.ended) return;
    const previous = this.topics;
    this.topics = topics;
    try {
      this.store();
    } catch (error) {
      this.topics = previous;
      throw codedTypeError(
        "WEBSOCK_STATE_NOT_STORED",
        "the topics of a connection in a Durable Object, together with its state, must fit into the socket's attachment " +
          `(${(error as Error).message})`,
        { cause: error },
      );
    }
  }

  override close(code: number | undefined, text: string): void {
    this.markOver();
    super.close(code, text);
  }

  protected override disconnect(): void {
    this.markOver();
    super.disconnect();
    this.forget();
  }

  /** Stores that the connection must not be restored. */
  private markOver(): void {
    if (this.ended || this.socket.readyState === CLOSED) return;
    this.ended = true;
    this.over = true;
    this.state = undefined;
    this.topics = [];
    this.store();
  }

  private store(): void {
    const { metadata, over, state, topics } = this;
    this.socket.serializeAttachment({ ...metadata, id: this.session.self.id, over, state, topics });
  }
}

/** The methods that the platform calls on a Durable Object. */
interface SocketEventMethods {
  fetch?: (request: Request, ...more: unknown[]) => unknown;
  webSocketMessage?: (socket: CloudflareSocket, data: string | ArrayBuffer) => unknown;
  webSocketClose?: (socket: CloudflareSocket, code: number, reason: string, wasClean: boolean) => unknown;
  webSocketError?: (socket: CloudflareSocket, error: unknown) => unknown;
}

/** The options of `attach` in a Durable Object. */
export interface DurableOptions extends HostOptions {
  /**
   * The `PubSub` of the connections of this object. Create one for each object, in a class field. Its topics and
   * addresses survive hibernation.
   */
  readonly pubsub?: PubSub;
}

export class DurableHost extends CloudflareHost {
  private readonly ctx: DurableObjectContext;
  private readonly handlers = new Map<string, Callbacks>();
  private readonly transports = new Map<CloudflareSocket, DurableTransport>();
  /** Promises of pending callbacks. The object must not hibernate before they settle. */
  private readonly pending = new Set<Promise<unknown>>();
  private settling: Promise<void> | undefined = undefined;

  protected override readonly home: TopicHome;

  constructor(
    ctx: DurableObjectContext,
    handlers: Readonly<Record<string, object>>,
    { pubsub, ...options }: DurableOptions,
  ) {
    // Each object has its own clock: a timer belongs to the object that started it.
    super(durableCapabilities, portableByteOps, cloudflareDiagnostics, { clock: new SystemClock(), ...options });
    this.ctx = ctx;
    this.home = {
      id: String(ctx.id),
      storedTopics: () => this.storedTopics(),
      find: (id) => SessionSelf.sessionOf(this.group.get(id)),
    };
    pubsub?.bindTo(this.home);
    for (const [name, handler] of Object.entries(handlers)) this.handlers.set(name, callbacksOf(handler));
  }

  /** Wraps the object's event methods. Events of other sockets are passed on to the original methods. */
  listen(object: SocketEventMethods): void {
    const { fetch, webSocketMessage, webSocketClose, webSocketError } = object;
    if (fetch !== undefined) {
      object.fetch = guardFetch(
        (request, ...more: unknown[]) => fetch.call(object, request, ...more),
        (request) => new DurableUpgrade(this, request),
      );
    }
    const event =
      <Args extends unknown[]>(
        original: ((socket: CloudflareSocket, ...args: Args) => unknown) | undefined,
        deliver: (transport: DurableTransport, ...args: Args) => void,
      ) =>
      (socket: CloudflareSocket, ...args: Args): unknown => {
        const stored = storedConnectionOf(socket);
        if (stored === undefined) return original?.call(object, socket, ...args);
        const transport = this.transportOf(socket, stored);
        if (transport !== undefined) deliver(transport, ...args);
        else if (stored.over) closeAbandoned(socket);
        return this.callbacksSettled();
      };
    object.webSocketMessage = event(webSocketMessage, (transport, data) => transport.message(data));
    object.webSocketClose = event(webSocketClose, (transport, code, reason) => transport.closing(code, reason));
    object.webSocketError = event(webSocketError, (transport, error) =>
      transport.failed(error instanceof Error ? error.message : String(error)),
    );
  }

  open(decision: Decision, request: UpgradeRequest, peer: ReturnType<typeof peerOf>, headers: Headers): Response {
    const { callbacks, arg, options, subprotocol, asyncContext } = decision;
    const handler = [...this.handlers].find(([, known]) => known === callbacks)?.[0];
    if (handler === undefined) {
      throw codedTypeError(
        "WEBSOCK_UNKNOWN_HANDLER",
        "attach() did not receive this handler, so that its connections could not be restored after hibernation",
      );
    }
    const { socket, respond } = openPair(decision, headers);
    this.ctx.acceptWebSocket(socket as never);
    const facts = connectionFacts(request, peer, subprotocol, undefined);
    const transport = this.run(socket, handler, facts, options, asyncContext);
    transport.claim();
    transport.session.start(arg);
    // Before `init` has settled there may be no event whose promise keeps the object awake.
    const settled = this.callbacksSettled();
    if (settled !== undefined) this.ctx.waitUntil(settled);
    return respond();
  }

  /** Every open connection, including those from before hibernation. */
  *selves(): Generator<SessionSelf> {
    for (const { session } of this.allTransports()) yield session.self;
  }

  private *allTransports(): Generator<DurableTransport> {
    for (const socket of this.ctx.getWebSockets() as CloudflareSocket[]) {
      const stored = storedConnectionOf(socket);
      const transport = stored && this.transportOf(socket, stored);
      if (transport !== undefined && !transport.session.endDecided) yield transport;
    }
  }

  private *storedTopics(): Generator<readonly [Session, StoredTopics]> {
    for (const { session, topics } of this.allTransports()) yield [session, topics];
  }

  private transportOf(socket: CloudflareSocket, stored: StoredConnection): DurableTransport | undefined {
    const known = this.transports.get(socket);
    if (known !== undefined || stored.over) return known;
    const { handler, id, facts, limits, state } = stored;
    if (!this.handlers.has(handler)) {
      this.warnOnce(
        `attach() received no handler "${handler}", which a hibernated connection needs: the connection is closed with 1011`,
      );
      closeAbandoned(socket);
      return undefined;
    }
    // The context of the `upgrade` call was lost in hibernation.
    const transport = this.run(socket, handler, facts, { ...this.defaults, ...limits }, rootContext, true);
    SessionSelf.identify(transport.session.self, id);
    transport.restore(stored);
    transport.session.resume(state);
    return transport;
  }

  private run(
    socket: CloudflareSocket,
    handler: string,
    facts: ConnectionFacts,
    options: ResolvedOptions,
    asyncContext: AsyncContext | undefined,
    resumed = false,
  ): DurableTransport {
    const callbacks = this.handlers.get(handler)!;
    const { maxMessageSize, closeTimeout } = options;
    const metadata = { websock: 1, handler, facts, limits: { maxMessageSize, closeTimeout } } as const;
    const transport = new DurableTransport(socket, metadata, this, () => this.transports.delete(socket));
    transport.session = this.newSession(
      this.trackPromises(callbacks, handler),
      transport,
      facts,
      options,
      asyncContext,
      resumed,
    );
    this.transports.set(socket, transport);
    return transport;
  }

  /** The same callbacks with their promises tracked, under the name that was passed to `attach`. */
  private trackPromises(callbacks: Callbacks, name: string): Callbacks {
    const watch = (callback: Callback | undefined): Callback | undefined =>
      callback &&
      ((...args) => {
        const result: unknown = callback.apply(callbacks.target, args);
        if (result instanceof Promise) this.watch(result);
        return result;
      });
    const { init, handleIn, handleControl, handleInfo, terminate } = callbacks;
    const watched = {
      init: watch(init)!,
      handleIn: watch(handleIn)!,
      handleControl: watch(handleControl),
      handleInfo: watch(handleInfo),
      terminate: watch(terminate),
    };
    return { target: watched, ...watched, name: name || callbacks.name };
  }

  private watch(result: Promise<unknown>): void {
    const done = (): void => void this.pending.delete(promise);
    const promise = result.then(done, done);
    this.pending.add(promise);
  }

  /** Resolves when no callback is pending. Event methods return it to keep the object awake. */
  private callbacksSettled(): Promise<void> | undefined {
    if (this.pending.size === 0) return undefined;
    this.settling ??= this.settle().finally(() => {
      this.settling = undefined;
    });
    return this.settling;
  }

  private async settle(): Promise<void> {
    while (this.pending.size > 0) await Promise.race(this.pending);
  }
}

class DurableUpgrade extends FetchUpgrade<DurableHost> {
  protected perform(decision: Decision, upgradeRequest: UpgradeRequest, headers: Headers): Response {
    return this.host.open(decision, upgradeRequest, peerOf(this.request), headers);
  }
}
