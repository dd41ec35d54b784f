/**
 * The messages of the protocol, version 2: JSON arrays `[join_ref, ref, topic, event, payload]` as texts, which
 * `text-reader.ts` reads, and binary messages whose payload is bytes. A binary message begins with its kind and the
 * sizes of the strings that precede the payload, one byte each.
 */
import { codedRangeError, codedTypeError } from "../error-codes.ts";
import { show } from "../known-keys.ts";
import { type OutMessage, stringify, text } from "../message.ts";
import { decodeText, decodeUtf8 } from "./decode-text.ts";
import type { Status } from "./results.ts";

/** phoenix.js sends refs as strings. Other clients send numbers, and get them back as they are. */
export type Ref = string | number;

/** A message from a client. */
export interface ClientMessage {
  /** The `ref` of the join of the channel; `null` for messages that belong to no channel. */
  readonly joinRef: Ref | null;
  /** `null`: the client wants no reply. */
  readonly ref: Ref | null;
  readonly topic: string;
  readonly event: string;
  readonly payload: unknown;
}

/** The kinds of binary messages. A push has one more string, its ref, if it comes from the client. */
const KIND = { push: 0, reply: 1, broadcast: 2, userBroadcast: 3 } as const;

const encoder = new TextEncoder();

/** Reads a binary message; `undefined` if it is not a message of this protocol. */
export const readBinary = (data: Uint8Array<ArrayBuffer>): ClientMessage | undefined => {
  if (data[0] === KIND.push) return readParts(data, 4, 5);
  if (data[0] === KIND.userBroadcast) return readUserBroadcast(data);
  return undefined;
};

/**
 * The first four of `count` strings, and what follows them.
 *
 * @param start the size of the header: the kind, the sizes of the strings, and any other fields
 */
const readParts = (data: Uint8Array<ArrayBuffer>, count: number, start: number): ClientMessage | undefined => {
  if (data.length < start) return undefined;
  const strings: string[] = [];
  let at = start;
  for (const size of data.subarray(1, 1 + count)) {
    if (at + size > data.length) return undefined;
    strings.push(decodeText(data.subarray(at, at + size)));
    at += size;
  }
  const [joinRef = "", ref = "", topic = "", event = ""] = strings;
  return { joinRef: joinRef || null, ref: ref || null, topic, event, payload: data.subarray(at) };
};

/**
 * How `@supabase/realtime-js` sends a broadcast: with the event of the application in place of `broadcast`, metadata
 * after it, and a byte that says whether the payload is JSON.
 */
const readUserBroadcast = (data: Uint8Array<ArrayBuffer>): ClientMessage | undefined => {
  const message = readParts(data, 5, 7);
  if (message === undefined) return undefined;
  const { event, payload: bytes } = message;
  let payload = bytes;
  try {
    if (data[6] === 1) payload = JSON.parse(decodeUtf8(bytes as Uint8Array));
  } catch {
    return undefined;
  }
  return { ...message, event: "broadcast", payload: { type: "broadcast", event, payload } };
};

/** The bytes of a binary payload; `undefined` for any other payload. */
export const bytesOf = (payload: unknown): Uint8Array | undefined =>
  payload instanceof ArrayBuffer ? new Uint8Array(payload) : payload instanceof Uint8Array ? payload : undefined;

/** @throws RangeError for a string of more than 255 bytes */
const binary = (kind: number, strings: readonly string[], payload: Uint8Array): OutMessage => {
  const encoded = strings.map((string) => encoder.encode(string));
  for (const [i, { length }] of encoded.entries())
    if (length > 255)
      throw codedRangeError(
        "WEBSOCK_NOT_SERIALIZABLE",
        `with bytes as payload, ${strings[i]} must have at most 255 bytes, not ${length}`,
      );
  return { opcode: "binary", data: [Uint8Array.of(kind, ...encoded.map(({ length }) => length)), ...encoded, payload] };
};

/** @throws TypeError if JSON cannot represent the payload */
const payloadText = (payload: unknown): string => stringify(payload ?? {});

/** @throws TypeError unless the name of an event or of a topic is a string */
const checkName = (name: unknown, what: "event" | "topic"): void => {
  if (typeof name !== "string")
    throw codedTypeError("WEBSOCK_INVALID_ARGUMENT", `the ${what} must be a string, not ${show(name)}`);
};

/** An event for one client. @throws TypeError or RangeError for a payload or an event that cannot be encoded */
export const writePush = (joinRef: Ref, topic: string, event: string, payload: unknown): OutMessage => {
  checkName(event, "event");
  const bytes = bytesOf(payload);
  return bytes !== undefined
    ? binary(KIND.push, [String(joinRef), topic, event], bytes)
    : text(
        `[${JSON.stringify(joinRef)},null,${JSON.stringify(topic)},${JSON.stringify(event)},${payloadText(payload)}]`,
      );
};

/** An event for all clients of a topic. @throws TypeError or RangeError likewise */
export const writeBroadcast = (topic: string, event: string, payload: unknown): OutMessage => {
  checkName(topic, "topic");
  checkName(event, "event");
  const bytes = bytesOf(payload);
  return bytes !== undefined
    ? binary(KIND.broadcast, [topic, event], bytes)
    : text(`[null,null,${JSON.stringify(topic)},${JSON.stringify(event)},${payloadText(payload)}]`);
};

/** What the text of an answer begins with and continues with, around its `ref`. */
export interface ReplyTexts {
  readonly head: string;
  readonly tail: string;
}

/** They are the same for all answers to messages of a join. */
export const replyTexts = (joinRef: Ref | null, topic: string): ReplyTexts => ({
  head: `[${JSON.stringify(joinRef)},`,
  tail: `,${JSON.stringify(topic)},"phx_reply",{"status":"`,
});

/** The answer to a message. @throws TypeError or RangeError likewise */
export const writeReply = (
  joinRef: Ref | null,
  ref: Ref | null,
  topic: string,
  status: Status,
  payload: unknown,
  { head, tail }: ReplyTexts = replyTexts(joinRef, topic),
): OutMessage => {
  const bytes = bytesOf(payload);
  return bytes !== undefined
    ? binary(KIND.reply, [String(joinRef ?? ""), String(ref ?? ""), topic, status], bytes)
    : text(`${head}${JSON.stringify(ref)}${tail}${status}","response":${payloadText(payload)}}]`);
};

/** The client is no longer joined: `phx_close`, or `phx_error`, after which it joins again. */
export const writeEnd = (joinRef: Ref, topic: string, event: "phx_error" | "phx_close"): OutMessage => {
  const payload = event === "phx_error" ? '{"reason":"channel_crash"}' : "{}";
  return text(`[${JSON.stringify(joinRef)},${JSON.stringify(joinRef)},${JSON.stringify(topic)},"${event}",${payload}]`);
};
