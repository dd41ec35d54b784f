/** Reads the text messages of one connection: `[join_ref, ref, topic, event, payload]`. */
import { utf8Length } from "../protocol/utf8.ts";
import type { ClientMessage, Ref } from "./serializer.ts";

/** As in binary messages. A join keeps its ref, and each answer repeats it. */
const MAX_REF_BYTES = 255;

const isRef = (value: unknown): value is Ref | null => {
  if (typeof value === "string") return value.length <= MAX_REF_BYTES && utf8Length(value) <= MAX_REF_BYTES;
  return value === null || Number.isFinite(value);
};

/** V8 copies slices of up to 12 characters. Longer ones keep the whole message in memory. */
const MAX_COPIED_SLICE = 12;

/** How many kinds of messages are remembered, and how long their texts may be without ref and payload. */
const MAX_KNOWN = 4;
const MAX_KNOWN_LENGTH = 1_024;

/** Messages with the same join_ref, topic and event: their texts differ only in the ref and in the payload. */
interface Known {
  readonly joinRef: Ref | null;
  readonly topic: string;
  readonly event: string;
  /** The text before the characters of the ref, and the text between these and the payload. */
  readonly beforeRef: string;
  readonly afterRef: string;
}

/**
 * A client sends few kinds of messages. For the last kinds that had to be parsed as JSON, everything but the ref and
 * the payload is compared instead. The strings that are kept are those of `JSON.parse`: a slice would keep the whole
 * message in memory.
 */
export class TextReader {
  private readonly known: Known[] = [];

  /** Reads a message; `undefined` if it is not a message of this protocol. */
  read(data: string): ClientMessage | undefined {
    for (const known of this.known) {
      const endOfRef = findEndOfRef(known, data);
      if (endOfRef !== undefined) return readKnown(known, data, endOfRef) ?? readJson(data);
    }
    const message = readJson(data);
    if (message !== undefined) this.remember(message);
    return message;
  }

  private remember({ joinRef, ref, topic, event }: ClientMessage): void {
    if (typeof ref !== "string" || event === "phx_join") return;
    // Messages of this kind are written in another way, with spaces for example.
    if (this.known.some((its) => its.joinRef === joinRef && its.topic === topic && its.event === event)) return;
    const beforeRef = `[${JSON.stringify(joinRef)},"`;
    const afterRef = `",${JSON.stringify(topic)},${JSON.stringify(event)},`;
    if (beforeRef.length + afterRef.length > MAX_KNOWN_LENGTH) return;
    this.known.unshift({ joinRef, topic, event, beforeRef, afterRef });
    if (this.known.length > MAX_KNOWN) this.known.pop();
  }
}

/** The index of the quotation mark after the ref; `undefined` if the message is of another kind. */
const findEndOfRef = ({ beforeRef, afterRef }: Known, data: string): number | undefined => {
  if (!data.startsWith(beforeRef)) return undefined;
  const end = data.indexOf('"', beforeRef.length);
  return data.startsWith(afterRef, end) ? end : undefined;
};

/** `undefined` if the message has to be parsed as JSON. */
const readKnown = (known: Known, data: string, endOfRef: number): ClientMessage | undefined => {
  const { joinRef, topic, event, beforeRef, afterRef } = known;
  const ref = data.slice(beforeRef.length, endOfRef);
  if (ref.length > MAX_COPIED_SLICE || !isPlain(ref) || !data.endsWith("]")) return undefined;
  try {
    return { joinRef, ref, topic, event, payload: JSON.parse(data.slice(endOfRef + afterRef.length, -1)) };
  } catch {
    return undefined;
  }
};

/** Whether the characters stand for themselves within a string of JSON (RFC 8259 §7). */
const isPlain = (characters: string): boolean => {
  for (let i = 0; i < characters.length; i++) {
    const code = characters.charCodeAt(i);
    if (code < 0x20 || code === 0x5c) return false;
  }
  return true;
};

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
