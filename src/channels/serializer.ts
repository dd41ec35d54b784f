/**
 * The messages of the protocol, version 2: JSON arrays `[join_ref, ref, topic, event, payload]` as texts, and binary
 * messages whose payload is bytes. A binary message begins with its kind and the sizes of the strings that precede the
 * payload, one byte each.
 */
import { codedRangeError, codedTypeError } from "../error-codes.ts";
import { type OutMessage, text } from "../message.ts";
import { decodeText } from "./decode-text.ts";
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

/** As in binary messages. A join keeps its ref, and each answer repeats it. */
const MAX_REF_LENGTH = 255;

const isRef = (value: unknown): value is Ref | null =>
  value === null || typeof value === "number" || (typeof value === "string" && value.length <= MAX_REF_LENGTH);

/** Reads a text message; `undefined` if it is not a message of this protocol. */
export const readText = (data: string): ClientMessage | undefined => readPlain(data) ?? readJson(data);

const readJson = (data: string): ClientMessage | undefined => {
  let message: unknown;
  try {
    message = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (!Array.isArray(message) || message.length < 5) return undefined;
  const [joinRef, ref, topic, event, payload] = message as unknown[];
  if (!isRef(joinRef) || !isRef(ref) || typeof topic !== "string" || typeof event !== "string") return undefined;
  return { joinRef, ref, topic, event, payload };
};

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = "\\";

/**
 * The fast path for what clients usually send: no spaces between the elements, and no escapes in the strings. Only the
 * payload is parsed as JSON. `undefined` for anything else.
 */
const readPlain = (data: string): ClientMessage | undefined => {
  if (data[0] !== "[" || !data.endsWith("]")) return undefined;
  const first = endOf(data, 1);
  const second = first && endOf(data, first + 1);
  const third = second && endOf(data, second + 1);
  const fourth = third && endOf(data, third + 1);
  if (fourth === 0 || data.lastIndexOf(BACKSLASH, fourth) !== -1) return undefined;
  const [topic, event] = [stringAt(data, second + 1, third), stringAt(data, third + 1, fourth)];
  // A topic that is joined is kept, and a slice would keep the whole message in memory.
  if (topic === null || event === null || event === "phx_join") return undefined;
  try {
    const payload: unknown = JSON.parse(data.slice(fourth + 1, -1));
    const [joinRef, ref] = [stringAt(data, 1, first), stringAt(data, first + 1, second)];
    return isRef(joinRef) && isRef(ref) ? { joinRef, ref, topic, event, payload } : undefined;
  } catch {
    return undefined;
  }
};

/** The index of the comma after the string or `null` that begins at `start`; 0 if there is none. */
const endOf = (data: string, start: number): number => {
  const isString = data.charCodeAt(start) === QUOTE;
  if (!isString && !data.startsWith("null", start)) return 0;
  const end = isString ? data.indexOf('"', start + 1) + 1 : start + 4;
  return data.charCodeAt(end) === COMMA ? end : 0;
};

const stringAt = (data: string, start: number, end: number): string | null =>
  data.charCodeAt(start) === QUOTE ? data.slice(start + 1, end - 1) : null;

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
    if (data[6] === 1) payload = JSON.parse(decodeText(bytes as Uint8Array));
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
const stringify = (payload: unknown): string => {
  const json = JSON.stringify(payload ?? {});
  if (json === undefined) throw codedTypeError("WEBSOCK_NOT_SERIALIZABLE", "JSON cannot represent the payload");
  return json;
};

/** An event for one client. @throws TypeError or RangeError for a payload or an event that cannot be encoded */
export const writePush = (joinRef: Ref, topic: string, event: string, payload: unknown): OutMessage => {
  const bytes = bytesOf(payload);
  return bytes !== undefined
    ? binary(KIND.push, [String(joinRef), topic, event], bytes)
    : text(`[${JSON.stringify(joinRef)},null,${JSON.stringify(topic)},${JSON.stringify(event)},${stringify(payload)}]`);
};

/** An event for all clients of a topic. @throws TypeError or RangeError likewise */
export const writeBroadcast = (topic: string, event: string, payload: unknown): OutMessage => {
  const bytes = bytesOf(payload);
  return bytes !== undefined
    ? binary(KIND.broadcast, [topic, event], bytes)
    : text(`[null,null,${JSON.stringify(topic)},${JSON.stringify(event)},${stringify(payload)}]`);
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
    : text(`${head}${JSON.stringify(ref)}${tail}${status}","response":${stringify(payload)}}]`);
};

/** The client is no longer joined: `phx_close`, or `phx_error`, after which it joins again. */
export const writeEnd = (joinRef: Ref, topic: string, event: "phx_error" | "phx_close"): OutMessage => {
  const payload = event === "phx_error" ? '{"reason":"channel_crash"}' : "{}";
  return text(`[${JSON.stringify(joinRef)},${JSON.stringify(joinRef)},${JSON.stringify(topic)},"${event}",${payload}]`);
};
