/** The bodies of entries, written and read. */
import type { IoData, OutMessage } from "../../message.ts";
import { portableByteOps } from "../../protocol/byte-ops.ts";
import { defaultCloseCode, type StopDetail } from "../../result.ts";
import { checkCloseDetail, checkMessages, messageList } from "../../session/outgoing.ts";
import { ByteReader, ByteWriter, MalformedError, textOf } from "./bytes.ts";
import { EntryType } from "./envelope.ts";

const OPCODES = ["text", "binary", "ping", "pong"] as const;

/** A stop as another node has requested it. */
export interface StopRequest {
  readonly reason: string;
  readonly detail: StopDetail;
}

export const typeOf = ({ opcode }: OutMessage): EntryType => EntryType[opcode];

/**
 * @param type below 4
 * @throws MalformedError for a message that may not be sent
 */
export const readMessage = (type: number, body: Uint8Array): OutMessage => {
  const opcode = OPCODES[type];
  if (opcode === undefined) throw new MalformedError("not a message");
  const message: OutMessage = { opcode, data: opcode === "text" ? textOf(body) : body };
  orMalformed(() => checkMessages(message, portableByteOps));
  return message;
};

export const writeStop = (reason: string, { code, text, abort, messages = [] }: StopDetail): IoData => {
  const writer = new ByteWriter();
  writer.sized(JSON.stringify({ reason, code, text, abort }));
  for (const message of messageList(messages)) {
    writer.uint(typeOf(message), 1);
    writer.sized(message.data ?? "");
  }
  return writer.written;
};

/** @throws MalformedError for a stop that may not be requested */
export const readStop = (body: Uint8Array): StopRequest => {
  const reader = new ByteReader(body);
  const json = reader.sizedText();
  const messages: OutMessage[] = [];
  while (!reader.isAtEnd) messages.push(readMessage(reader.uint(1), reader.sized()));
  return orMalformed(() => {
    const { reason, code = defaultCloseCode(reason), text = null, abort = false } = JSON.parse(json);
    if (typeof reason !== "string" || typeof abort !== "boolean") throw new MalformedError("not a stop");
    checkCloseDetail([code, text]);
    return { reason, detail: { code, text, abort, messages } };
  });
};

/** A body that begins with a text: the address of a connection, or the name of a presence. */
export const prefixed = (text: string, rest: IoData): IoData => {
  const writer = new ByteWriter();
  writer.sized(text);
  return [writer.written, rest];
};

/** @throws MalformedError for a body that {@link prefixed} has not written */
export const readPrefixed = (body: Uint8Array): readonly [text: string, rest: Uint8Array] => {
  const reader = new ByteReader(body);
  return [reader.sizedText(), reader.rest()];
};

/** The name of a presence, and how many changes to it a node has published. */
export type Version = readonly [name: string, version: number];

export const writeVersions = (versions: Iterable<Version>): Uint8Array => {
  const writer = new ByteWriter();
  for (const [name, version] of versions) {
    writer.sized(name);
    writer.uint(version, 6);
  }
  return writer.written;
};

/** @throws MalformedError for a body that {@link writeVersions} has not written */
export const readVersions = (body: Uint8Array): readonly Version[] => {
  const reader = new ByteReader(body);
  const versions: Version[] = [];
  while (!reader.isAtEnd) versions.push([reader.sizedText(), reader.uint(6)]);
  return versions;
};

export const writeProbe = (id: number): Uint8Array => {
  const writer = new ByteWriter();
  writer.uint(id, 4);
  return writer.written;
};

/** @throws MalformedError for a body that is too short */
export const readProbe = (body: Uint8Array): number => new ByteReader(body).uint(4);

/** @throws MalformedError for any error */
const orMalformed = <T>(check: () => T): T => {
  try {
    return check();
  } catch (error) {
    throw error instanceof MalformedError ? error : new MalformedError((error as Error).message);
  }
};
