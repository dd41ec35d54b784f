/**
 * The connections of a Durable Object that hibernates: it may be gone between two messages, and what a connection needs
 * is kept in the attachment of its socket.
 */
import type { ResolvedOptions, UpgradeRequest } from "../../options.ts";
import { portableOctets } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import { type Callback, type Callbacks, callbacksOf } from "../../session/handler.ts";
import { type ConnectionFacts, SessionSelf } from "../../session/self.ts";
import { FetchUpgrade, guardFetch } from "../fetch/upgrade.ts";
import { rootContext } from "../shared/async-context.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import type { HostOptions } from "../shared/host.ts";
import { SystemClock } from "../shared/system-clock.ts";
import { cloudflareDiagnostics } from "./diagnostics.ts";
import { CloudflareHost } from "./host.ts";
import { CloudflareTransport, durableCapabilities, type Reports } from "./transport.ts";
import { CLOSED, type CloudflareSocket, type DurableObjectContext } from "./types.ts";
import { openPair, peerOf } from "./worker.ts";

/** What is kept of a connection. Its mark tells it from the attachments of others. */
interface Kept {
  readonly websock: 1;
  /** The name that its handler has in `attach`. */
  readonly handler: string;
  readonly id: string;
  readonly facts: ConnectionFacts;
  readonly limits: Pick<ResolvedOptions, "maxMessageSize" | "closeTimeout">;
  /** There is nothing to go on with: `init` has not returned yet, or the end is decided. */
  readonly over: boolean;
  readonly state: unknown;
}

const keptOf = (socket: CloudflareSocket): Kept | undefined => {
  const attachment = socket.deserializeAttachment() as Kept | null;
  return attachment?.websock === 1 ? attachment : undefined;
};

/** What is left to be done for a socket whose handler has ended, or was lost before it had a state. */
const leave = (socket: CloudflareSocket): void => {
  try {
    socket.close(CLOSE.internalError);
  } catch {
    // It is closed already.
  }
};

class DurableTransport extends CloudflareTransport {
  private readonly about: Omit<Kept, "id" | "over" | "state">;

  private readonly forget: () => void;
  private ended = false;

  constructor(socket: CloudflareSocket, about: DurableTransport["about"], reports: Reports, forget: () => void) {
    super(socket, about.limits.maxMessageSize, reports, durableCapabilities);
    this.about = about;
    this.forget = forget;
  }

  /** From now on its socket is known to be ours. */
  begin(): void {
    this.write(true, undefined);
  }

  keep(state: unknown): void {
    try {
      this.write(false, state);
    } catch (error) {
      throw new TypeError(
        "the state of a connection in a Durable Object must be cloneable and fit into the socket's attachment; keep large " +
          `data in ctx.storage and only its key in the state (${(error as Error).message})`,
        { cause: error },
      );
    }
  }

  override close(code: number | undefined, text: string): void {
    this.end();
    super.close(code, text);
  }

  protected override lose(): void {
    this.end();
    super.lose();
    this.forget();
  }

  /** Nobody wakes it up again. */
  private end(): void {
    if (this.ended || this.socket.readyState === CLOSED) return;
    this.ended = true;
    this.write(true, undefined);
  }

  private write(over: boolean, state: unknown): void {
    const { handler, facts, limits } = this.about;
    this.socket.serializeAttachment({ websock: 1, handler, id: this.session.self.id, facts, limits, over, state });
  }
}

/** The methods by which the platform tells an object of its sockets. */
interface Events {
  fetch?: (request: Request, ...more: unknown[]) => unknown;
  webSocketMessage?: (socket: CloudflareSocket, data: string | ArrayBuffer) => unknown;
  webSocketClose?: (socket: CloudflareSocket, code: number, reason: string, wasClean: boolean) => unknown;
  webSocketError?: (socket: CloudflareSocket, error: unknown) => unknown;
}

export class DurableHost extends CloudflareHost {
  private readonly ctx: DurableObjectContext;
  private readonly handlers = new Map<string, Callbacks>();
  private readonly transports = new Map<CloudflareSocket, DurableTransport>();
  /** Promises of callbacks that are pending. While there are some, the object must not sleep. */
  private readonly pending = new Set<Promise<unknown>>();
  private settling: Promise<void> | undefined = undefined;

  constructor(ctx: DurableObjectContext, handlers: Readonly<Record<string, object>>, options: HostOptions) {
    // A timer belongs to the object that has started it: no two of them share a clock.
    super(durableCapabilities, portableOctets, cloudflareDiagnostics, { clock: new SystemClock(), ...options });
    this.ctx = ctx;
    for (const [name, handler] of Object.entries(handlers)) this.handlers.set(name, callbacksOf(handler));
  }

  /** Takes the object's events. Those of sockets that are none of ours are left to its own methods. */
  listen(object: Events): void {
    const { fetch, webSocketMessage, webSocketClose, webSocketError } = object;
    if (fetch !== undefined) {
      object.fetch = guardFetch(
        (request, ...more: unknown[]) => fetch.call(object, request, ...more),
        (request) => new DurableUpgrade(this, request),
      );
    }
    const event =
      <Args extends unknown[]>(
        own: ((socket: CloudflareSocket, ...args: Args) => unknown) | undefined,
        tell: (transport: DurableTransport, ...args: Args) => void,
      ) =>
      (socket: CloudflareSocket, ...args: Args): unknown => {
        const kept = keptOf(socket);
        if (kept === undefined) return own?.call(object, socket, ...args);
        const transport = this.transportOf(socket, kept);
        if (transport !== undefined) tell(transport, ...args);
        else if (kept.over) leave(socket);
        return this.settled();
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
      throw new TypeError(
        "attach() did not receive this handler, so that its connections could not be restored after hibernation",
      );
    }
    const { socket, respond } = openPair(decision, headers);
    this.ctx.acceptWebSocket(socket as never);
    const facts = connectionFacts(request, peer, subprotocol, undefined);
    const transport = this.run(socket, handler, facts, options, asyncContext);
    transport.begin();
    transport.session.start(arg);
    // Until `init` is done, no event is there whose promise would keep the object awake.
    const settled = this.settled();
    if (settled !== undefined) this.ctx.waitUntil(settled);
    return respond();
  }

  /** Every connection that is open, also those from before the object slept. */
  *selves(): Generator<SessionSelf> {
    for (const socket of this.ctx.getWebSockets() as CloudflareSocket[]) {
      const kept = keptOf(socket);
      const session = kept && this.transportOf(socket, kept)?.session;
      if (session !== undefined && !session.ended) yield session.self;
    }
  }

  private transportOf(socket: CloudflareSocket, kept: Kept): DurableTransport | undefined {
    const known = this.transports.get(socket);
    if (known !== undefined || kept.over) return known;
    const { handler, id, facts, limits, state } = kept;
    if (!this.handlers.has(handler)) {
      this.tell(
        `attach() received no handler "${handler}", which a hibernated connection needs: the connection is closed with 1011`,
      );
      leave(socket);
      return undefined;
    }
    // The context of the `upgrade` call was lost when the object slept.
    const transport = this.run(socket, handler, facts, { ...this.defaults, ...limits }, rootContext);
    SessionSelf.identify(transport.session.self, id);
    transport.session.resume(state);
    return transport;
  }

  private run(
    socket: CloudflareSocket,
    handler: string,
    facts: ConnectionFacts,
    options: ResolvedOptions,
    asyncContext: AsyncContext | undefined,
  ): DurableTransport {
    const callbacks = this.handlers.get(handler)!;
    const { maxMessageSize, closeTimeout } = options;
    const about = { websock: 1, handler, facts, limits: { maxMessageSize, closeTimeout } } as const;
    const transport = new DurableTransport(socket, about, this, () => this.transports.delete(socket));
    transport.session = this.newSession(this.watched(callbacks, handler), transport, facts, options, asyncContext);
    this.transports.set(socket, transport);
    return transport;
  }

  /** The same callbacks, whose promises are seen, under the name that `attach` was given. */
  private watched(callbacks: Callbacks, name: string): Callbacks {
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

  /** Resolves when no callback is pending: what an event returns keeps the object awake. */
  private settled(): Promise<void> | undefined {
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
  protected perform(decision: Decision, facts: UpgradeRequest, headers: Headers): Response {
    return this.host.open(decision, facts, peerOf(this.request), headers);
  }
}
