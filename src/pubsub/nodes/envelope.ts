/**
 * What one node publishes to one channel in one event-loop tick, as bytes: version 1 of the format between nodes.
 *
 * | bytes | |
 * |---|---|
 * | 1 | version: 1 |
 * | 16 | node: a UUID |
 * | 4 | epoch of the numbers |
 * | 6 | number of the first entry |
 * | 2 | how many entries follow |
 * | 6 | the number of the first entry before this envelope that was lost since the last envelope; 0: none |
 * | … | the entries: flags (1), exceptions if {@link HAS_EXCEPTIONS} is set, length (varint), body |
 *
 * Numbers are big-endian. The exceptions are addresses: their number (varint), and for each its length in bytes
 * (varint) and its text. A varint has seven bits of the number in each byte, the lowest first; the eighth bit says that
 * another byte follows. Flags that are not defined, and entries of types that a node does not know, are ignored, so
 * that two releases can run side by side.
 */
import type { IoData } from "../../message.ts";
import { ByteReader, ByteWriter, MalformedError } from "./bytes.ts";

const VERSION = 1;
const HEADER_SIZE = 35;
const COUNT_AT = 27;
/** Their count has two bytes. */
const MAX_ENTRIES = 0xffff;

/** What an entry is: the lowest four bits of its flags. */
export const EntryType = {
  text: 0,
  binary: 1,
  ping: 2,
  pong: 3,
  info: 4,
  stop: 5,
  addressInfo: 6,
  addressStop: 7,
  hello: 8,
  beat: 9,
  goodbye: 10,
  probe: 11,
  presence: 12,
} as const;
export type EntryType = (typeof EntryType)[keyof typeof EntryType];

const TYPE_MASK = 0x0f;
const VOLATILE = 0x10;
const HAS_EXCEPTIONS = 0x20;

/** How an entry is sent to members. */
export interface EntryOptions {
  readonly volatile: boolean;
  /** The addresses of connections of other nodes that are left out. */
  readonly except: readonly string[];
}

export const PLAIN: EntryOptions = { volatile: false, except: [] };

export interface EnvelopeEntry extends EntryOptions {
  /** Also a type of a later version. */
  readonly type: number;
  readonly body: Uint8Array;
}

export interface Envelope {
  readonly node: string;
  readonly epoch: number;
  readonly first: number;
  /** The number of the first entry that the node has lost since its last envelope; 0: none. */
  readonly lost: number;
  readonly entries: readonly EnvelopeEntry[];
}

/** An upper bound of the bytes that an entry adds to an envelope. */
export const entrySize = (bodySize: number, { except }: EntryOptions): number =>
  except.reduce((size, address) => size + 5 + 3 * address.length, 11 + bodySize);

/** The bytes of an envelope without entries. */
export const ENVELOPE_OVERHEAD = HEADER_SIZE;

export class EnvelopeWriter {
  /** How many entries were added. */
  count = 0;
  private readonly writer = new ByteWriter();

  /**
   * @param node the bytes of the node's UUID
   * @param lost the number of the first entry that was lost since the last envelope; 0: none
   */
  constructor(node: Uint8Array, epoch: number, first: number, lost = 0) {
    this.writer.uint(VERSION, 1);
    this.writer.raw(node);
    this.writer.uint(epoch, 4);
    this.writer.uint(first, 6);
    this.writer.uint(0, 2);
    this.writer.uint(lost, 6);
  }

  get size(): number {
    return this.writer.length;
  }

  get isFull(): boolean {
    return this.count === MAX_ENTRIES;
  }

  add(type: EntryType, body: IoData, bodySize: number, { volatile, except }: EntryOptions): void {
    const { writer } = this;
    writer.uint(type | (volatile ? VOLATILE : 0) | (except.length > 0 ? HAS_EXCEPTIONS : 0), 1);
    if (except.length > 0) {
      writer.varint(except.length);
      for (const address of except) writer.sized(address);
    }
    writer.sized(body, bodySize);
    this.count++;
  }

  /** The bytes. Nothing can be added any more. */
  finish(): Uint8Array {
    this.writer.setUint16(COUNT_AT, this.count);
    return this.writer.written;
  }
}

/**
 * @returns `undefined` for another version
 * @throws MalformedError for anything that no node has sent
 */
export const readEnvelope = (bytes: Uint8Array): Envelope | undefined => {
  const reader = new ByteReader(bytes);
  if (reader.uint(1) !== VERSION) return undefined;
  const node = uuidOf(reader.take(16));
  const epoch = reader.uint(4);
  const first = reader.uint(6);
  const count = reader.uint(2);
  const lost = reader.uint(6);
  if (first === 0 || count === 0) throw new MalformedError("an envelope without a number or entries");
  const entries: EnvelopeEntry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(reader));
  if (!reader.isAtEnd) throw new MalformedError("bytes after the last entry");
  return { node, epoch, first, lost, entries };
};

const readEntry = (reader: ByteReader): EnvelopeEntry => {
  const flags = reader.uint(1);
  let except = PLAIN.except;
  if ((flags & HAS_EXCEPTIONS) !== 0) {
    const addresses: string[] = [];
    for (let left = reader.varint(); left > 0; left--) addresses.push(reader.sizedText());
    except = addresses;
  }
  return { type: flags & TYPE_MASK, volatile: (flags & VOLATILE) !== 0, except, body: reader.sized() };
};

/** Whether an envelope is from a node, without reading the rest of it. */
export const isFrom = (node: Uint8Array, bytes: Uint8Array): boolean =>
  bytes.length >= HEADER_SIZE && node.every((byte, i) => bytes[i + 1] === byte);

export const uuidBytes = (uuid: string): Uint8Array =>
  Uint8Array.from(uuid.replaceAll("-", "").match(/../g)!, (byte) => Number.parseInt(byte, 16));

const uuidOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
    .join("")
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
