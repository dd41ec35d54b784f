/** The types of messages, and the functions that create outgoing ones. */
import { codedTypeError } from "./error-codes.ts";
import { show } from "./known-keys.ts";

/**
 * A complete text or binary message from the client, as `handleIn` receives it. The handler may keep and modify the
 * bytes of a binary message: the library does not reuse their memory.
 */
export type DataMessage =
  | { readonly opcode: "text"; readonly data: string }
  | { readonly opcode: "binary"; readonly data: Uint8Array<ArrayBuffer> };

/** A ping or pong from the client, as `handleControl` receives it. `data` has at most 125 bytes (RFC 6455 §5.5). */
export interface ControlMessage {
  /** The kind of the control frame (RFC 6455 §5.5.2, §5.5.3). */
  readonly opcode: "ping" | "pong";
  /** Its payload; empty if the client has sent none. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * The data of an outgoing message: a string, bytes, or an array of these, nested to any depth. The parts of an array
 * are sent in order as one message, without being concatenated first.
 *
 * The library does not copy large data. Do not modify it after passing it on.
 *
 * ```ts
 * push(text(["<b>", name, "</b>"]), state)
 * ```
 */
export type IoData = string | Uint8Array | ArrayBuffer | readonly IoData[];

/** The kinds of messages that can be sent (RFC 6455 §5.2). A close frame is sent by `stop`. */
export type Opcode = "text" | "binary" | "ping" | "pong";

/** A message to the client. Without `data`, or with `null`, its payload is empty. */
export interface OutMessage {
  /** The kind of the message. */
  readonly opcode: Opcode;
  /** The payload. Of a ping or pong, at most 125 bytes (RFC 6455 §5.5). Default: empty. */
  readonly data?: IoData | null;
}

/** One message, or an array of messages that are sent in order. An empty array sends nothing. */
export type Messages = OutMessage | readonly OutMessage[];

/**
 * Creates a text message.
 *
 * ```ts
 * push(text("hello"), state)
 * ```
 *
 * This function does not check `data`; the message is checked when it is sent. Data that is not {@link IoData} is then
 * a TypeError, and bytes that are not UTF-8 are a RangeError. `self.push` throws that error. In the result of a
 * callback, the error is reported to `onError` and closes the connection with 1011.
 *
 * @param data the text. Bytes in it must be UTF-8; a character may be split between two parts that are bytes
 */
export const text = (data: IoData): OutMessage => ({ opcode: "text", data });

/**
 * Creates a text message that contains `value` as JSON.
 *
 * ```ts
 * push(json({ type: "task", id: 1 }), state)
 * ```
 *
 * The value is serialized immediately, by the rules of `JSON.stringify`: properties that are `undefined` are omitted,
 * and `NaN` becomes `null`.
 *
 * @param value any value that JSON can represent
 * @throws TypeError if JSON cannot represent the value: `undefined`, a function, a symbol, a BigInt or a circular
 * structure
 */
export const json = (value: unknown): OutMessage => ({ opcode: "text", data: stringify(value) });

/** @throws TypeError if JSON cannot represent the value */
export const stringify = (value: unknown): string => {
  let data: string | undefined;
  try {
    data = JSON.stringify(value);
  } catch (error) {
    throw codedTypeError(
      "WEBSOCK_NOT_SERIALIZABLE",
      `JSON cannot represent ${show(value)}: ${(error as Error)?.message}`,
      {
        cause: error,
      },
    );
  }
  if (data === undefined) throw codedTypeError("WEBSOCK_NOT_SERIALIZABLE", `JSON cannot represent ${show(value)}`);
  return data;
};

/**
 * Creates a binary message. Strings in `data` are sent as UTF-8.
 *
 * ```ts
 * push(binary(new Uint8Array([1, 2])), state)
 * ```
 *
 * This function does not check `data`; the message is checked when it is sent. Data that is not {@link IoData} is then
 * a TypeError: `self.push` throws it, and in the result of a callback it closes the connection with 1011.
 *
 * @param data bytes, a string, or an array of these
 */
export const binary = (data: IoData): OutMessage => ({ opcode: "binary", data });

/**
 * Creates a ping. The client answers with a pong that has the same payload, which `handleControl` receives. There is no
 * need to send pings to keep a connection alive: the option `heartbeat` does that.
 *
 * The size is checked when the message is sent. A larger payload is then a RangeError: `self.push` throws it, and in
 * the result of a callback it closes the connection with 1011. On a host without control frames (see
 * `Capabilities.control`), the ping is dropped.
 *
 * ```ts
 * push(ping("are you there?"), state)
 * ```
 *
 * @param data the payload: at most 125 bytes (RFC 6455 §5.5). Default: empty
 */
export const ping = (data: IoData = ""): OutMessage => ({ opcode: "ping", data });

/**
 * Creates an unsolicited pong (RFC 6455 §5.5.3). Pings from the client need no pong from the handler: they are answered
 * automatically.
 *
 * ```ts
 * push(pong(), state)
 * ```
 *
 * @param data the payload, with the same limit and errors as that of {@link ping}. Default: empty
 */
export const pong = (data: IoData = ""): OutMessage => ({ opcode: "pong", data });
