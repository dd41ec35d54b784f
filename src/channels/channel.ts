/** The types of channels: their callbacks, and `socket`, through which they reach their client and their topic. */

import type { Immutable, InputOf, OutputOf, StandardSchema } from "../standard-schema.ts";
import type { Awaitable, Self } from "../websock.ts";
import type { PresenceSource } from "./presence-messages.ts";
import type { ChannelResult, JoinResult, Status } from "./results.ts";
import type { Ref } from "./serializer.ts";

/** The events that clients may send, with their schemas; `"unchecked"`: none. */
export type Events = Readonly<Record<string, StandardSchema | "unchecked" | EventSchemas>>;

/** The schemas of an event. Without one of them, that payload may be anything, and its type is `unknown`. */
export interface EventSchemas {
  /** The payload of the event. Default: none. */
  readonly payload?: StandardSchema;
  /** The payload of a reply with the status `"ok"`; it must be synchronous. Default: none. */
  readonly reply?: StandardSchema;
  /** The payload of a reply with the status `"error"`; it must be synchronous. Default: none. */
  readonly error?: StandardSchema;
}

/** The names of the events that clients may send. */
export type EventOf<E extends Events | undefined> = [E] extends [Events] ? keyof E & string : string;

/** The type of an event's payload: what its schema returns. */
export type PayloadOf<E extends Events | undefined, Event extends EventOf<E> = EventOf<E>> = [E] extends [Events]
  ? E[Event] extends infer Given
    ? Given extends { readonly payload: infer Schema }
      ? OutputOf<Schema>
      : OutputOf<Given>
    : never
  : unknown;

/** The type of the payload of a reply to an event: what its schema accepts. */
export type ReplyOf<
  E extends Events | undefined,
  Event extends EventOf<E> = EventOf<E>,
  Kind extends "reply" | "error" = "reply",
> = [E] extends [Events]
  ? E[Event] extends infer Given
    ? Given extends { readonly [K in Kind]: infer Schema }
      ? Immutable<InputOf<Schema>>
      : unknown
    : never
  : unknown;

/** What `handleIn` returns for an event. */
type EventResult<State, E extends Events | undefined, Event extends EventOf<E> = EventOf<E>> = ChannelResult<
  State,
  ReplyOf<E, Event>,
  ReplyOf<E, Event, "error">
>;

/**
 * The callbacks of a channel: what clients can do in the topics that begin alike, such as `room:*`. Only `join` is
 * required. Create it with {@link channel}, which infers the types.
 *
 * Each client that joins a topic has a state of its own, which `join` returns first, and each callback returns. The
 * callbacks of a joined topic never overlap: while the promise of one is pending, the next event waits. Other topics of
 * the same connection do not wait.
 *
 * If a callback throws, rejects or returns an invalid result, the error is reported to `onError`, and the client
 * receives `phx_error`, after which phoenix.js joins again. The connection and its other topics are not affected.
 *
 * @typeParam Shared the type of the value that `connect` passes to `accept`
 * @typeParam State the type of the state
 * @typeParam Info the type of the infos that `socket.send` accepts
 * @typeParam E the schemas of events
 * @typeParam Payload the type of the payload of a join
 * @typeParam JoinReply the schema of the reply to a join
 */
export interface Channel<
  Shared,
  State,
  Info = never,
  E extends Events | undefined = undefined,
  Payload = unknown,
  JoinReply extends StandardSchema | undefined = undefined,
> {
  /**
   * Called when a client joins. Return `accept` with the first state, or `refuse`. The client receives the
   * broadcasts of the topic as soon as this has returned `accept`.
   */
  readonly join: (
    payload: Payload,
    socket: Socket<Shared, Info>,
  ) => Awaitable<JoinResult<State, Immutable<InputOf<JoinReply>>>>;
  /**
   * Called for each message: one function for all events, or an object with one function for each event. A message
   * whose event has no function is answered with an error.
   *
   * ```ts
   * handleIn: {
   *   say: (payload, state, socket) => {
   *     socket.broadcast("said", payload);
   *     return reply("ok", {}, state);
   *   },
   * },
   * ```
   */
  readonly handleIn?:
    | ((
        event: EventOf<E>,
        payload: PayloadOf<E>,
        state: State,
        socket: Socket<Shared, Info>,
      ) => Awaitable<EventResult<State, E>>)
    | {
        readonly [Event in EventOf<E>]?: (
          payload: PayloadOf<E, Event>,
          state: State,
          socket: Socket<Shared, Info>,
        ) => Awaitable<EventResult<State, E, Event>>;
      };
  /** Called for each info that was sent with `socket.send`. Without it, infos are dropped. */
  readonly handleInfo?: (info: Info, state: State, socket: Socket<Shared, Info>) => Awaitable<ChannelResult<State>>;
  /**
   * Called instead of sending a broadcast event to the client, for the events that it names. Return `push` to send it.
   * All other events are encoded once for all clients, and nothing is called.
   */
  readonly handleOut?: Readonly<
    Record<string, (payload: unknown, state: State, socket: Socket<Shared, Info>) => Awaitable<ChannelResult<State>>>
  >;
  /**
   * Called once when the client is no longer joined, after a pending callback has settled, with the last state: never,
   * if its promise never settles. Also called if `join` accepts after the client has left, or after `joinTimeout`.
   * Another join of the topic waits until it has returned, for at most `joinTimeout`.
   */
  readonly terminate?: (reason: EndReason, state: State, socket: Socket<Shared, Info>) => unknown;
  /** The schema of the payload of the join. A join whose payload does not match is refused. Default: none. */
  readonly params?: StandardSchema<unknown, Payload>;
  /**
   * The schema of the reply to a join: of the second argument of `accept`. It must be synchronous. A join whose reply
   * does not match fails, as if `join` had thrown a TypeError. Default: none.
   */
  readonly joinReply?: JoinReply;
  /**
   * The schemas of the events that clients may send, and of the replies. A payload that does not match, and any other
   * event, is answered with an error. A reply that does not match is reported to `onError`, and the client receives
   * `{ reason: "invalid reply" }` with the status `"error"` in its place. Default: all events, with payloads of any
   * type.
   *
   * ```ts
   * events: {
   *   say: z.object({ text: z.string() }),
   *   count: { payload: z.object({ by: z.number() }), reply: z.object({ count: z.number() }) },
   *   wave: "unchecked",
   * },
   * ```
   */
  readonly events?: E;
  /**
   * Who is in the topic. A client that has joined receives `presence_state`, and `presence_diff` whenever the entries
   * of the topic change, as the class `Presence` of phoenix.js expects. Entries are added with
   * `presence.track(socket.self, socket.topic, key, meta)`, and removed when the client leaves.
   */
  readonly presence?: PresenceSource;
}

/**
 * Why a client is no longer joined: it has left; it has joined the topic again; the connection has ended; the channel
 * has returned `stop`; or something has thrown.
 */
export type EndReason = "left" | "rejoined" | "closed" | { readonly stop: unknown } | { readonly error: unknown };

/** A message of a client, to answer it later with `socket.reply` of the same socket. It cannot be copied. */
export interface MessageRef {
  /** The topic of the message. */
  readonly topic: string;
  /** The ref of the client's join of the topic. */
  readonly joinRef: Ref;
  /** The ref of the message. */
  readonly ref: Ref;
  /** The event of the message. */
  readonly event: string;
}

/**
 * A handle to one joined topic of one connection, which callbacks receive as their last argument. It may be stored and
 * used from anywhere in the process.
 *
 * @typeParam Shared the type of the value that `connect` passes to `accept`
 * @typeParam Info the type of the infos that `send` accepts
 */
export interface Socket<out Shared = unknown, in Info = never> {
  /** The topic, such as `room:1`. */
  readonly topic: string;
  /** The value that `connect` has passed to `accept`. */
  readonly shared: Shared;
  /** The connection. */
  readonly self: Self<never>;
  /** Whether the client is joined: `false` within `join`, and after the end. */
  readonly isJoined: boolean;
  /**
   * In `handleIn`, until its promise has settled: the message, to answer it later. Otherwise, and if the client wants
   * no reply, `undefined`.
   *
   * ```ts
   * handleIn: (event, payload, state, socket) => {
   *   const { ref } = socket;
   *   if (ref) void render(payload).then((url) => socket.reply(ref, "ok", { url }));
   *   return noreply(state);
   * },
   * ```
   */
  readonly ref: MessageRef | undefined;
  /**
   * Sends an event to this client.
   *
   * @param event the name of the event
   * @param payload a value that JSON can represent, or bytes
   * @returns `false` if it is not joined
   * @throws TypeError for a payload that JSON cannot represent, and for an event that is not a string
   * @throws RangeError if the payload is bytes, and the topic or the event has more than 255 bytes
   */
  readonly push: (event: string, payload: unknown) => boolean;
  /**
   * Answers a message for which `handleIn` has returned `noreply`.
   *
   * @param ref what `socket.ref` was
   * @param status `"ok"` or `"error"`
   * @param payload a value that JSON can represent, or bytes
   * @returns `false` if the client is not joined, has joined again since it sent the message, or if `ref` comes from
   * another socket
   * @throws TypeError for a payload that JSON cannot represent, for a `status` that is neither of these, and if the
   * schema of the reply turns out to be asynchronous
   * @throws RangeError if the payload is bytes, and the topic, or the `ref` of the client's message, has more than 255
   * bytes
   */
  readonly reply: (ref: MessageRef, status: Status, payload: unknown) => boolean;
  /**
   * Sends an event to all clients that have joined the topic, on all nodes.
   *
   * @param event the name of the event
   * @param payload a value that JSON can represent, or bytes
   * @returns `false` if it is known that other nodes are not reached
   * @throws TypeError for a payload that JSON cannot represent, and for an event that is not a string
   * @throws RangeError if the payload is bytes, and the topic or the event has more than 255 bytes
   */
  readonly broadcast: (event: string, payload: unknown) => boolean;
  /**
   * The same without this client.
   *
   * @param event the name of the event
   * @param payload a value that JSON can represent, or bytes
   * @returns `false` if it is known that other nodes are not reached
   * @throws TypeError for a payload that JSON cannot represent, and for an event that is not a string
   * @throws RangeError if the payload is bytes, and the topic or the event has more than 255 bytes
   */
  readonly broadcastFrom: (event: string, payload: unknown) => boolean;
  /**
   * Calls `handleInfo` of this channel, in a later event-loop tick. An info that `join` sends waits until the
   * client is joined.
   *
   * @param info any value
   * @returns `false` if the client is no longer joined, or the connection is ending
   */
  readonly send: (info: Info) => boolean;
}

/** A channel with any types of state, infos and events, for connections whose `shared` has this type. */
export interface ChannelFor<in out Shared> {
  readonly join: (payload: never, socket: Socket<Shared, unknown>) => Awaitable<JoinResult<unknown>>;
  readonly handleIn?:
    | ((...args: never) => Awaitable<ChannelResult<unknown>>)
    | Readonly<Record<string, ((...args: never) => Awaitable<ChannelResult<unknown>>) | undefined>>;
  readonly handleInfo?: (...args: never) => Awaitable<ChannelResult<unknown>>;
  readonly handleOut?: Readonly<Record<string, (...args: never) => Awaitable<ChannelResult<unknown>>>>;
  readonly terminate?: (...args: never) => unknown;
  readonly params?: StandardSchema<unknown, unknown>;
  readonly joinReply?: StandardSchema | undefined;
  readonly events?: Events | undefined;
  readonly presence?: PresenceSource;
}

/**
 * Infers the types of a channel, and returns it unchanged. Only the types of `socket.shared` and of infos cannot be
 * inferred: they are the type arguments. Note the two pairs of parentheses. Write `join` before the callbacks that
 * receive the state.
 *
 * ```ts
 * const Room = channel<User>()({
 *   join: (_payload, { topic, shared: user }) =>
 *     user.rooms.has(topic) ? accept({ count: 0 }) : refuse("unauthorized"),
 *   handleIn: {
 *     say: (text, state, socket) => {
 *       socket.broadcast("said", { from: socket.shared.name, text });
 *       return reply("ok", {}, { count: state.count + 1 });
 *     },
 *   },
 * });
 * ```
 */
export const channel =
  <Shared = unknown, Info = never>() =>
  <
    State,
    const E extends Events | undefined = undefined,
    Payload = unknown,
    JoinReply extends StandardSchema | undefined = undefined,
  >(
    callbacks: Channel<Shared, State, Info, E, Payload, JoinReply>,
  ): Channel<Shared, State, Info, E, Payload, JoinReply> =>
    callbacks;
