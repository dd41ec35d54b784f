/**
 * What nodes tell each other about presence, as bytes. The entries of a node have numbers, which are never used again;
 * the diffs of a node have consecutive versions, from 1.
 *
 * | message | |
 * |---|---|
 * | diff | type (1), version (6), changes |
 * | request | type (1), from (6): asks for the entries from this number on |
 * | part | type (1), version (6), from (6), next (6), joins: the entries with numbers from `from` to before `next` |
 *
 * In the last part, `next` is 0, and the joins are all entries from `from` on.
 *
 * A change is its kind (1) and the number of the entry (6), and for a join the topic and the key as JSON, which unlike
 * UTF-8 represents lone surrogates, and the meta as the codec encodes it; each with its length in bytes (varint) first.
 */
import type { IoData } from "../../message.ts";
import { ByteReader, ByteWriter, MalformedError } from "../nodes/bytes.ts";

const MessageType = { diff: 0, request: 1, part: 2 } as const;
const Kind = { leave: 0, join: 1 } as const;

/** A message contains at most this many bytes of changes, so that it fits into the limits of engines. */
export const MAX_CHANGES_SIZE = 65_536;

export interface Join {
  readonly number: number;
  readonly topic: string;
  readonly key: string;
  readonly meta: Uint8Array;
}

export interface DiffMessage {
  readonly type: "diff";
  readonly version: number;
  readonly joins: readonly Join[];
  /** The numbers of entries. */
  readonly leaves: readonly number[];
}

export interface RequestMessage {
  readonly type: "request";
  readonly from: number;
}

export interface PartMessage {
  readonly type: "part";
  /** The last diff that the part contains. */
  readonly version: number;
  readonly from: number;
  /** The first number of the next part; `undefined`: this is the last one. */
  readonly next: number | undefined;
  readonly joins: readonly Join[];
}

export type PresenceMessage = DiffMessage | RequestMessage | PartMessage;

export const writeJoin = (number: number, topic: string, key: string, meta: IoData): Uint8Array => {
  const writer = new ByteWriter();
  writer.uint(Kind.join, 1);
  writer.uint(number, 6);
  writer.sized(JSON.stringify([topic, key]));
  writer.sized(meta);
  return writer.written.slice();
};

export const writeLeave = (number: number): Uint8Array => {
  const writer = new ByteWriter();
  writer.uint(Kind.leave, 1);
  writer.uint(number, 6);
  return writer.written;
};

export const writeDiff = (version: number, changes: readonly Uint8Array[]): IoData => [
  header(MessageType.diff, version),
  ...changes,
];

export const writeRequest = (from: number): IoData => header(MessageType.request, from);

export const writePart = (
  version: number,
  from: number,
  next: number | undefined,
  joins: readonly Uint8Array[],
): IoData => [header(MessageType.part, version, from, next ?? 0), ...joins];

const header = (type: number, ...numbers: readonly number[]): Uint8Array => {
  const writer = new ByteWriter();
  writer.uint(type, 1);
  for (const number of numbers) writer.uint(number, 6);
  return writer.written;
};

/**
 * @returns `undefined` for a message of a type that is not known: a later release may have more
 * @throws MalformedError for bytes that no node has sent
 */
export const readPresenceMessage = (body: Uint8Array): PresenceMessage | undefined => {
  const reader = new ByteReader(body);
  const type = reader.uint(1);
  if (type === MessageType.request) return { type: "request", from: reader.uint(6) };
  if (type === MessageType.diff) return { type: "diff", version: reader.uint(6), ...readChanges(reader) };
  if (type !== MessageType.part) return undefined;
  const [version, from, next] = [reader.uint(6), reader.uint(6), reader.uint(6)];
  if (next !== 0 && next <= from) throw new MalformedError("a part of presence that does not end after its start");
  return { type: "part", version, from, next: next === 0 ? undefined : next, joins: readChanges(reader).joins };
};

const readChanges = (reader: ByteReader): Pick<DiffMessage, "joins" | "leaves"> => {
  const joins: Join[] = [];
  const leaves: number[] = [];
  while (!reader.isAtEnd) {
    const kind = reader.uint(1);
    const number = reader.uint(6);
    if (kind === Kind.leave) leaves.push(number);
    else if (kind === Kind.join) joins.push({ number, ...readTopicAndKey(reader.sizedText()), meta: reader.sized() });
    else throw new MalformedError("neither a join nor a leave");
  }
  return { joins, leaves };
};

const readTopicAndKey = (json: string): Pick<Join, "topic" | "key"> => {
  const [topic, key] = parseList(json);
  if (typeof topic !== "string" || typeof key !== "string") throw new MalformedError("not a topic and a key");
  return { topic, key };
};

const parseList = (json: string): readonly unknown[] => {
  try {
    const value: unknown = JSON.parse(json);
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
};
