/** `channels`: a handler whose clients speak the protocol of Phoenix channels. */
import { codedError, codedRangeError, codedTypeError } from "../error-codes.ts";
import { UpgradeError } from "../errors.ts";
import { checkKeys, show } from "../known-keys.ts";
import type { DataMessage } from "../message.ts";
import type { SendOptions, Subscription } from "../pubsub/options.ts";
import { PubSub } from "../pubsub/pubsub.ts";
import { reachableSessionOf } from "../pubsub/session-of.ts";
import { type HandleResult, ok, push, stop } from "../result.ts";
import type { Clock } from "../session/clock.ts";
import type { Awaitable, Self, WebSock } from "../websock.ts";
import type { ChannelFor } from "./channel.ts";
import { authTokenOf, type ConnectRequest, paramsOf, SUBPROTOCOL } from "./connect-request.ts";
import { ChannelConnection, type ConnectionInfo, type ConnectionOwner } from "./connection.ts";
import { Patterns } from "./patterns.ts";
import { type AnyChannel, PreparedChannel } from "./prepared-channel.ts";
import { type PresenceSource, presenceDiff } from "./presence-messages.ts";
import { accept, type ConnectResult, checkAcceptance } from "./results.ts";
import { readBinary, writeBroadcast } from "./serializer.ts";
import { clientsOf, connectionsOf, interceptorsOf, outInfo } from "./topics.ts";

/** What `connect` receives besides the parameters. */
export interface Connecting<Request> {
  /**
   * The token that the client passed to its `Socket` as `authToken`, which does not appear in logs of URLs;
   * `undefined` if there is none.
   */
  readonly authToken: string | undefined;
  /** The request, as the route has passed it to `connect`. */
  readonly request: Request;
}

/** Options of {@link channels}. */
export interface ChannelsOptions<Request extends ConnectRequest, Shared> {
  /** Carries the broadcasts. With a backplane, they reach the clients of all nodes. */
  readonly pubsub: PubSub;
  /**
   * Called for each upgrade request. Return `accept` with what all channels of the connection share as `socket.shared`,
   * or `refuse`: the request is answered with 403. Default: accepts all.
   *
   * @param params the parameters of the client's `Socket`
   */
  readonly connect?: (
    params: Readonly<Record<string, string>>,
    connecting: Connecting<Request>,
  ) => Awaitable<ConnectResult<Shared>>;
  /** The id of a connection, such as `user:1`, for `disconnect`; `undefined`: none. Default: none. */
  readonly id?: (shared: Shared) => string | undefined;
  /** The channels, by topic: `lobby`, or `room:*` for all topics that begin with `room:`. The longest match counts. */
  readonly channels: Readonly<Record<string, ChannelFor<Shared>>>;
  /**
   * How many milliseconds `join` may take, before the join is answered with an error. Default: 8 000, because
   * phoenix.js waits for 10 seconds.
   */
  readonly joinTimeout?: number;
  /**
   * How many topics a client may have joined at the same time. Topics that it has left count while a callback is
   * pending. Default: 100.
   */
  readonly maxTopics?: number;
}

/** `connect` is required if the channels expect a value in `socket.shared`. */
export type ConnectIfNeeded<Shared> = [undefined] extends [Shared] ? unknown : { readonly connect: object };

/**
 * A handler for `upgrade`, with functions that reach its clients from anywhere.
 *
 * ```ts
 * app.get("/socket/websocket", async (req) => upgrade(req, socket, await socket.connect(req), socket.options));
 * ```
 */
export interface Channels<Request extends ConnectRequest> extends WebSock<Connected, ChannelsState, ChannelsInfo> {
  /**
   * Decides about an upgrade request with the option `connect`, and returns the argument for `upgrade`.
   *
   * @param request the route's request, with the properties `url` and `headers`
   * @throws UpgradeError with the status 403 if the client is refused, or does not speak version 2 of the protocol. Do
   * not catch it: it becomes the response
   * @throws TypeError for a value that is not a request, and if the option `connect` returns neither `accept` nor
   * `refuse`
   * @throws what the option `connect` throws
   */
  readonly connect: (request: Request) => Promise<Connected>;
  /** Options for `upgrade`: the subprotocol, which phoenix.js offers together with a token. */
  readonly options: { readonly subprotocols: readonly string[] };
  /**
   * Sends an event to all clients that have joined a topic, on all nodes.
   *
   * @param topic the topic, such as `room:1`
   * @param event the name of the event
   * @param payload a value that JSON can represent, or bytes
   * @returns `false` if it is known that other nodes are not reached
   * @throws TypeError for a payload that JSON cannot represent, and for a topic or an event that is not a string
   * @throws RangeError for a topic that has more than 512 UTF-16 units together with the prefix that the library adds;
   * and if the payload is bytes, and the topic or the event has more than 255 bytes
   */
  readonly broadcast: (topic: string, event: string, payload: unknown) => boolean;
  /**
   * Closes the connections with this id with 1001, on all nodes. phoenix.js connects again, and `connect` decides.
   *
   * @param id what the option `id` has returned for these connections
   * @throws TypeError or RangeError for an id that is not a string of 1 to 450 UTF-16 units
   */
  readonly disconnect: (id: string) => void;
}

declare const opaque: unique symbol;

/** What {@link Channels.connect} has accepted. */
export interface Connected {
  readonly [opaque]: "connected";
}

/** The state of a connection. */
export interface ChannelsState {
  readonly [opaque]: "state";
}

/** What the connections send each other. */
export interface ChannelsInfo {
  readonly [opaque]: "info";
}

const OPTIONS = ["pubsub", "connect", "id", "channels", "joinTimeout", "maxTopics"];
/** phoenix.js waits 10 seconds for the answer to a join, and timers are up to a second late. */
const DEFAULTS = { joinTimeout: 8_000, maxTopics: 100 };

/**
 * Creates a handler for the clients of Phoenix channels: phoenix.js, and those for Swift, Kotlin, C#, Dart and others.
 * They join topics over one connection, send and receive events, and know who else is there.
 *
 * ```ts
 * const pubsub = new PubSub();
 * const socket = channels({
 *   pubsub,
 *   connect: async (_params, { authToken }) => {
 *     const user = await verify(authToken);
 *     return user ? accept(user) : refuse("invalid token");
 *   },
 *   id: (user) => `user:${user.id}`,
 *   channels: { "room:*": Room },
 * });
 * app.get("/socket/websocket", async (req) => upgrade(req, socket, await socket.connect(req), socket.options));
 * ```
 *
 * The handler speaks version 2 of the protocol, over WebSockets. There is no long polling.
 *
 * @throws TypeError for an unknown or invalid option or channel, RangeError for a number that is not above zero
 * @see https://hexdocs.pm/phoenix/channels.html
 */
export const channels = <Request extends ConnectRequest = ConnectRequest, Shared = undefined>(
  options: ChannelsOptions<Request, Shared> & ConnectIfNeeded<Shared>,
): Channels<Request> =>
  // The values that it passes from callback to callback are opaque to applications.
  new ChannelsHandler(check(options)) as unknown as Channels<Request>;

const check = <Request extends ConnectRequest, Shared>(
  options: ChannelsOptions<Request, Shared>,
): ChannelsOptions<Request, Shared> & typeof DEFAULTS => {
  checkKeys(options, OPTIONS);
  if (!(options.pubsub instanceof PubSub))
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "pubsub" must be a PubSub, not ${show(options.pubsub)}`);
  for (const name of ["connect", "id"] as const)
    if (options[name] !== undefined && typeof options[name] !== "function")
      throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be a function, not ${show(options[name])}`);
  for (const name of ["joinTimeout", "maxTopics"] as const) {
    const value = options[name] ?? 1;
    if (typeof value !== "number")
      throw codedTypeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be a number, not ${show(value)}`);
    if (!(value > 0))
      throw codedRangeError("WEBSOCK_INVALID_OPTION", `option "${name}" must be above zero, not ${value}`);
  }
  if (typeof options.channels !== "object" || options.channels === null)
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "channels" must be an object, not ${show(options.channels)}`,
    );
  return {
    ...options,
    joinTimeout: options.joinTimeout ?? DEFAULTS.joinTimeout,
    maxTopics: options.maxTopics ?? DEFAULTS.maxTopics,
  };
};

/** What `connect` has accepted. */
class Accepted {
  readonly shared: unknown;

  constructor(shared: unknown) {
    this.shared = shared;
  }
}

interface DiffPublisher {
  channelFor(topic: string): PreparedChannel | undefined;
  publish(topic: string, event: string, payload: unknown, options: SendOptions): boolean;
}

/** Who publishes the diffs of a presence to the clients of a `PubSub`. */
const publishers = new WeakMap<PubSub, Map<PresenceSource, Set<DiffPublisher>>>();

/** Each diff is published once, even if several handlers have the same topics. */
const publishDiffs = (pubsub: PubSub, presence: PresenceSource, publisher: DiffPublisher): void => {
  const byPresence = publishers.get(pubsub) ?? new Map<PresenceSource, Set<DiffPublisher>>();
  publishers.set(pubsub, byPresence);
  const known = byPresence.get(presence);
  if (known !== undefined) {
    known.add(publisher);
    return;
  }
  const all = new Set([publisher]);
  byPresence.set(presence, all);
  presence.onDiff((topic, diff) => {
    const first = [...all].find((its) => its.channelFor(topic)?.presence === presence);
    first?.publish(topic, "presence_diff", presenceDiff(diff), { local: true });
  });
};

class ChannelsHandler<Request extends ConnectRequest, Shared> implements ConnectionOwner {
  readonly options = { subprotocols: [SUBPROTOCOL] };
  readonly name = "channels";
  readonly joinTimeout: number;
  readonly maxTopics: number;
  readonly #settings: ChannelsOptions<Request, Shared>;
  readonly #patterns: Patterns<PreparedChannel>;

  constructor(settings: ChannelsOptions<Request, Shared> & typeof DEFAULTS) {
    this.joinTimeout = settings.joinTimeout;
    this.maxTopics = settings.maxTopics;
    this.#settings = settings;
    const prepared = Object.entries(settings.channels).map(
      ([pattern, callbacks]) => [pattern, new PreparedChannel(pattern, callbacks as AnyChannel)] as const,
    );
    this.#patterns = new Patterns(prepared);
    for (const [, { presence }] of prepared) if (presence !== undefined) publishDiffs(settings.pubsub, presence, this);
  }

  readonly connect = async (request: Request): Promise<Accepted> => {
    if (typeof request?.headers !== "object" || request.headers === null)
      throw codedTypeError(
        "WEBSOCK_INVALID_ARGUMENT",
        `connect() must receive a request, with "url" and "headers", not ${show(request)}`,
      );
    const { vsn = "1.0.0", ...params } = paramsOf(request);
    if (!/^2\.\d+\.\d+$/.test(vsn))
      throw new UpgradeError(403, `version ${vsn} of the protocol is not supported; the client must send vsn=2.0.0`);
    const { connect } = this.#settings;
    const result =
      connect === undefined ? accept(undefined) : await connect(params, { authToken: authTokenOf(request), request });
    checkAcceptance(result, "connect");
    if (result[0] === "accept") return new Accepted(result[1]);
    throw new UpgradeError(403, typeof result[1] === "string" ? result[1] : "Forbidden");
  };

  // --- callbacks

  init(connected: unknown, self: Self<ConnectionInfo>): HandleResult<ChannelConnection> {
    if (!(connected instanceof Accepted))
      throw codedTypeError(
        "WEBSOCK_INVALID_ARGUMENT",
        `upgrade() must receive what connect() has returned, not ${show(connected)}`,
      );
    if (reachableSessionOf(self).home !== undefined)
      throw codedError(
        "WEBSOCK_NOT_SUPPORTED",
        "channels are not possible in a Durable Object: joined topics would be lost when it hibernates",
      );
    const { shared } = connected;
    const { id, pubsub } = this.#settings;
    const name = id?.(shared as Shared);
    if (name !== undefined) connectionsOf(pubsub, name).subscribe(self as Self<never>);
    return ok(new ChannelConnection(this, self, shared));
  }

  handleIn(message: DataMessage, connection: ChannelConnection): HandleResult<ChannelConnection> {
    const { opcode, data } = message;
    const read = opcode === "text" ? connection.texts.read(data) : readBinary(data);
    if (read === undefined)
      return stop("malformed message", connection, { code: 1007, text: "not a message of Phoenix channels" });
    const answer = connection.receive(read, data);
    return answer === undefined ? ok(connection) : push(answer, connection);
  }

  handleInfo(info: ConnectionInfo, connection: ChannelConnection): HandleResult<ChannelConnection> {
    connection.handleInfo(info);
    return ok(connection);
  }

  terminate(_reason: unknown, connection: ChannelConnection | undefined): Promise<unknown> | undefined {
    return connection?.end();
  }

  // --- from anywhere

  readonly broadcast = (topic: string, event: string, payload: unknown, except?: Self<never>): boolean =>
    this.publish(topic, event, payload, except && { except });

  publish(topic: string, event: string, payload: unknown, options?: SendOptions): boolean {
    const { pubsub } = this.#settings;
    return this.channelFor(topic)?.out.has(event)
      ? interceptorsOf(pubsub, topic).broadcast(outInfo(topic, event, payload), options)
      : clientsOf(pubsub, topic).publish(writeBroadcast(topic, event, payload), options);
  }

  readonly disconnect = (id: string): void => {
    connectionsOf(this.#settings.pubsub, id).stop("disconnected", { code: 1001 });
  };

  // --- for connections

  get clock(): Clock {
    return PubSub.hubOf(this.#settings.pubsub).clock;
  }

  channelFor(topic: string): PreparedChannel | undefined {
    return this.#patterns.find(topic);
  }

  subscribe(self: Self<ConnectionInfo>, topic: string, { out }: PreparedChannel): readonly Subscription[] {
    const { pubsub } = this.#settings;
    const clients = clientsOf(pubsub, topic).subscribe(self as Self<never>);
    return out.size === 0 ? [clients] : [clients, interceptorsOf(pubsub, topic).subscribe(self)];
  }

  whenReady(subscriptions: readonly Subscription[]): Promise<unknown> | undefined {
    if (this.#settings.pubsub.status === "alone") return undefined;
    return Promise.all(subscriptions.map(({ ready }) => ready));
  }
}
