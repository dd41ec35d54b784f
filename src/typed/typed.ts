/** `typed`: a handler whose messages are checked by schemas, and have their types. */
import { codedTypeError } from "../error-codes.ts";
import { checkKeys, show } from "../known-keys.ts";
import type { ControlMessage, DataMessage } from "../message.ts";
import { isPromiseLike } from "../promise-like.ts";
import type { HandleResult } from "../result.ts";
import { type CallbackName, callbacksOf } from "../session/handler.ts";
import {
  type Immutable,
  type InputOf,
  type OutputOf,
  type SchemaIssue,
  type SchemaResult,
  type StandardSchema,
  validate,
} from "../standard-schema.ts";
import { takesNothing } from "../upgrade-arguments.ts";
import type { Awaitable, CloseReason, Self, WebSock } from "../websock.ts";
import { checkSchema, decoder, encoder, type MessageCodec } from "./codec.ts";
import { InvalidMessage } from "./errors.ts";
import { ok, stop, type TypedResult, untyped } from "./results.ts";
import { SelfWithMessages, type TypedSelf } from "./self.ts";

/** The schemas of a typed handler: what clients send, and what they receive. */
export interface MessageSchemas<In extends StandardSchema, Out extends StandardSchema> {
  /**
   * The schema of messages from the client. `handleIn` receives what it returns. It may be asynchronous: the messages
   * of a connection are nevertheless handled in the order of their arrival.
   */
  readonly in: In;
  /**
   * The schema of messages to the client, which must validate synchronously. What it returns is encoded and sent.
   */
  readonly out: Out;
  /** How messages are represented. Default: JSON in text messages. */
  readonly codec?: MessageCodec | undefined;
}

/**
 * The callbacks of a typed handler. They are those of an ordinary handler, with typed messages, and `onInvalid`; only
 * `init` and `handleIn` are required.
 *
 * @typeParam Received the type of the messages that `handleIn` receives
 * @typeParam Sent the type of the messages that may be sent
 * @typeParam Arg the type of the argument that `upgrade` passes to `init`
 * @typeParam State the type of the state
 * @typeParam Info the type of the infos that `self.send` accepts. Default: none
 */
export interface TypedCallbacks<Received, Sent, Arg, State, Info = never> {
  /** Called once, when the connection is open, before any message is handled. */
  readonly init: (arg: Arg, self: TypedSelf<Sent, Info>) => Awaitable<TypedResult<Sent, State>>;
  /** Called for each message that fits the schema `in`, with what the schema has returned. */
  readonly handleIn: (
    message: Received,
    state: State,
    self: TypedSelf<Sent, Info>,
  ) => Awaitable<TypedResult<Sent, State>>;
  /**
   * Called for each message that does not fit: the codec cannot decode it, it has the wrong opcode, or the schema `in`
   * refuses it. Default: closes the connection with 1007 (RFC 6455 §7.4.1) and the text "invalid message".
   *
   * ```ts
   * onInvalid: (_issues, _message, state) => push({ type: "error", text: "not a valid command" }, state),
   * ```
   *
   * @param issues what is wrong, in the words of the schema's library; see {@link SchemaIssue}
   * @param message the message as the client has sent it
   */
  readonly onInvalid?: (
    issues: readonly SchemaIssue[],
    message: DataMessage,
    state: State,
    self: TypedSelf<Sent, Info>,
  ) => Awaitable<TypedResult<Sent, State>>;
  /** Called for each ping and pong. */
  readonly handleControl?: (
    message: ControlMessage,
    state: State,
    self: TypedSelf<Sent, Info>,
  ) => Awaitable<TypedResult<Sent, State>>;
  /** Called for each info that was sent with `self.send`. Without it, infos are dropped. */
  readonly handleInfo?: (info: Info, state: State, self: TypedSelf<Sent, Info>) => Awaitable<TypedResult<Sent, State>>;
  /** Called when the connection ends: exactly once if `init` returned a result, otherwise never. */
  readonly terminate?: (reason: CloseReason, state: State, self: TypedSelf<Sent, Info>) => unknown;
  /** The name of the handler in reports, if it is a string. */
  readonly name?: unknown;
}

/**
 * An ordinary handler that knows the types of its messages, for {@link ClientMessage} and {@link ServerMessage}.
 *
 * @typeParam Client the type of the messages that clients send
 * @typeParam Server the type of the messages that clients receive
 */
export interface TypedHandler<Client, Server, Arg, State, Info = never> extends WebSock<Arg, State, Info> {
  /** Only a type: the property does not exist. */
  readonly "~types"?: { readonly client: Client; readonly server: Server } | undefined;
}

interface HasMessageTypes {
  readonly "~types"?: { readonly client: unknown; readonly server: unknown } | undefined;
}

/**
 * The type of the messages that clients of a typed handler send.
 *
 * ```ts
 * // In the browser: `Board` is the typed handler, of which only the type is imported.
 * const send = (message: ClientMessage<typeof Board>) => socket.send(JSON.stringify(message));
 * ```
 */
export type ClientMessage<Handler extends HasMessageTypes> = NonNullable<Handler["~types"]>["client"];

/**
 * The type of the messages that clients of a typed handler receive: what the schema `out` returns. If it has values
 * that the codec changes, such as a `Date` in JSON, this type does not show it.
 */
export type ServerMessage<Handler extends HasMessageTypes> = NonNullable<Handler["~types"]>["server"];

/** Requires `handleInfo` from a handler whose `self.send` accepts infos. Without it, infos would be dropped. */
type HandlesTypedInfo<Received, Sent, Arg, State, Info> = [Info] extends [never]
  ? unknown
  : { readonly handleInfo: NonNullable<TypedCallbacks<Received, Sent, Arg, State, Info>["handleInfo"]> };

/** Creates a typed handler that receives infos of the type `Info`: {@link typed} with a type argument. */
export type TypedWith<Info> = <In extends StandardSchema, Out extends StandardSchema, Arg = void, State = unknown>(
  schemas: MessageSchemas<In, Out>,
  callbacks: TypedCallbacks<OutputOf<In>, Immutable<InputOf<Out>>, Arg, State, Info> &
    HandlesTypedInfo<OutputOf<In>, Immutable<InputOf<Out>>, Arg, State, Info>,
) => TypedHandler<InputOf<In>, OutputOf<Out>, Arg, State, Info>;

/**
 * Creates a handler whose messages are checked by schemas of zod, valibot, arktype or any other library with Standard
 * Schema, and have their types. The result is an ordinary handler, for `upgrade` on every host.
 *
 * ```ts
 * const Say = z.object({ type: z.literal("say"), text: z.string().max(200) });
 * const Said = z.object({ type: z.literal("said"), text: z.string(), count: z.number() });
 *
 * const Echo = typed({ in: Say, out: Said }, {
 *   init: () => ok(0),
 *   handleIn: ({ text }, count) => push({ type: "said", text, count }, count + 1),
 * });
 * ```
 *
 * `ok`, `push`, `pushAll` and `stop` are those of `websock-js/typed`. Only the type of infos cannot be inferred.
 * Without arguments, `typed` takes it as type argument; note the two pairs of parentheses:
 * `typed<Info>()(schemas, callbacks)`.
 *
 * @param schemas the schemas of the messages, and the codec
 * @param callbacks the callbacks: an object or a class instance
 * @throws TypeError if the schema `out` is known to be asynchronous; see docs/typed.md. Also for an unknown or invalid
 * option, a missing callback, and a property that is named like a callback but is none
 * @see https://standardschema.dev
 */
export function typed<In extends StandardSchema, Out extends StandardSchema, Arg = void, State = unknown>(
  schemas: MessageSchemas<In, Out>,
  callbacks: TypedCallbacks<OutputOf<In>, Immutable<InputOf<Out>>, Arg, State>,
): TypedHandler<InputOf<In>, OutputOf<Out>, Arg, State>;
export function typed<Info>(): TypedWith<Info>;
export function typed(...args: readonly unknown[]): unknown {
  return args.length === 0 ? create : create(...(args as Parameters<typeof create>));
}

type AnyCallbacks = TypedCallbacks<unknown, unknown, unknown, unknown, unknown>;

const SCHEMAS = ["in", "out", "codec"] as const;

const create = (
  schemas: MessageSchemas<StandardSchema, StandardSchema>,
  callbacks: AnyCallbacks,
): WebSock<unknown, unknown, unknown> => {
  if (typeof schemas !== "object" || schemas === null)
    throw codedTypeError(
      "WEBSOCK_INVALID_ARGUMENT",
      `typed() must receive an object with ${SCHEMAS.join(", ")}, not ${show(schemas)}`,
    );
  checkKeys(schemas, SCHEMAS);
  checkSchema("in", schemas.in);
  const encode = encoder(schemas.out, schemas.codec);
  const decode = decoder(schemas.codec);
  const { name } = callbacksOf(callbacks);
  if (callbacks.onInvalid !== undefined && typeof callbacks.onInvalid !== "function")
    throw codedTypeError(
      "WEBSOCK_INVALID_HANDLER",
      `the handler's "onInvalid" must be a function, not ${show(callbacks.onInvalid)}`,
    );

  // By the ordinary `self`, so that a connection that was restored after hibernation gets one, too.
  const selves = new WeakMap<Self<unknown>, TypedSelf<unknown, unknown>>();
  const typedSelfOf = (self: Self<unknown>): TypedSelf<unknown, unknown> => {
    let typedSelf = selves.get(self);
    if (typedSelf === undefined) selves.set(self, (typedSelf = new SelfWithMessages(self, encode)));
    return typedSelf;
  };

  const encoded = (
    callback: CallbackName,
    result: Awaitable<TypedResult<unknown, unknown>>,
  ): Awaitable<HandleResult<unknown>> =>
    isPromiseLike(result)
      ? Promise.resolve(result).then((settled) => untyped(settled, encode, callback))
      : untyped(result, encode, callback);
  const handle = (
    result: SchemaResult<unknown>,
    message: DataMessage,
    state: unknown,
    self: TypedSelf<unknown, unknown>,
  ): Awaitable<TypedResult<unknown, unknown>> => {
    if (result.issues === undefined) return callbacks.handleIn(result.value, state, self);
    return callbacks.onInvalid === undefined
      ? closeInvalid(result.issues, state)
      : callbacks.onInvalid(result.issues, message, state, self);
  };
  const { handleControl, handleInfo, terminate } = callbacks;
  return {
    name,
    // Without parameters, like the application's: `upgrade` then refuses options in the place of the argument.
    init: takesNothing(callbacks.init)
      ? () => encoded("init", callbacks.init(undefined, undefined as never))
      : (arg, self) => encoded("init", callbacks.init(arg, typedSelfOf(self))),
    handleIn: (message, state, self) => {
      const typedSelf = typedSelfOf(self);
      const decoded = decode(message);
      const result = decoded.issues === undefined ? validate(schemas.in, decoded.value) : decoded;
      return encoded(
        "handleIn",
        isPromiseLike(result)
          ? // While the schema is pending, the message still waits: if the end is decided meanwhile, it is dropped.
            Promise.resolve(result).then((settled) =>
              self.signal.aborted ? ok(state) : handle(settled, message, state, typedSelf),
            )
          : handle(result, message, state, typedSelf),
      );
    },
    // The session finds out from these whether the handler takes infos and control frames.
    ...(handleControl && {
      handleControl: (message, state, self) =>
        encoded("handleControl", callbacks.handleControl!(message, state, typedSelfOf(self))),
    }),
    ...(handleInfo && {
      handleInfo: (info, state, self) => encoded("handleInfo", callbacks.handleInfo!(info, state, typedSelfOf(self))),
    }),
    ...(terminate && {
      terminate: (reason, state, self) => callbacks.terminate!(reason, state, typedSelfOf(self)),
    }),
  };
};

const closeInvalid = (issues: readonly SchemaIssue[], state: unknown): TypedResult<never, unknown> =>
  stop(new InvalidMessage("received a message that is not valid", issues), state, {
    code: 1007,
    text: "invalid message",
  });
