/** Messages, in and out. */
import { show } from "./known-keys.ts";

/** A whole message from the client. `data` of a binary one belongs to the handler: nobody else writes to it. */
export type DataMessage =
  | { readonly opcode: "text"; readonly data: string }
  | { readonly opcode: "binary"; readonly data: Uint8Array<ArrayBuffer> };

/** A ping or pong from the client, with its payload of at most 125 octets (RFC 6455 §5.5). */
export interface ControlMessage {
  readonly opcode: "ping" | "pong";
  readonly data: Uint8Array<ArrayBuffer>;
}

/**
 * What a message may be made of. Nested lists are written out in order without being joined first. The library does not
 * copy large data: it must not be changed after it was handed over.
 */
export type IoData = string | Uint8Array | ArrayBuffer | readonly IoData[];

export type Opcode = "text" | "binary" | "ping" | "pong";

/** A message to the client; no `data` is an empty one. */
export interface OutMessage {
  readonly opcode: Opcode;
  readonly data?: IoData | null;
}

/** One message or a list of them, sent in order. */
export type Messages = OutMessage | readonly OutMessage[];

/** A text message. Octets in `data` must be UTF-8. `push(text("hello"), state)` */
export const text = (data: IoData): OutMessage => ({ opcode: "text", data });

/**
 * A text message with `value` as JSON. `push(json({ type: "task", id: 1 }), state)`
 *
 * It is converted at the call, by `JSON.stringify` and its rules: a property that is `undefined` is left out, `NaN` becomes
 * `null`.
 *
 * @throws TypeError for a value that JSON cannot express: `undefined`, a function, a symbol, a BigInt, a cycle
 */
export const json = (value: unknown): OutMessage => ({ opcode: "text", data: stringify(value) });

const stringify = (value: unknown): string => {
  let data: string | undefined;
  try {
    data = JSON.stringify(value);
  } catch (error) {
    throw new TypeError(`json() cannot serialize ${show(value)}: ${(error as Error)?.message}`, { cause: error });
  }
  if (data === undefined) throw new TypeError(`json() cannot serialize ${show(value)}: it has no JSON representation`);
  return data;
};

/** A binary message. `push(binary(new Uint8Array([1, 2])), state)` */
export const binary = (data: IoData): OutMessage => ({ opcode: "binary", data });

/** A ping; the client answers with a pong, which arrives at `handleControl`. At most 125 octets. */
export const ping = (data: IoData = ""): OutMessage => ({ opcode: "ping", data });

/** An unsolicited pong (RFC 6455 §5.5.3). Pings are answered by the library. At most 125 octets. */
export const pong = (data: IoData = ""): OutMessage => ({ opcode: "pong", data });
