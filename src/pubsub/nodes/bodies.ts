/** The bodies of entries: messages, and stops. */
import type { IoData, Messages, OutMessage } from "../../message.ts";
import { portableByteOps } from "../../protocol/byte-ops.ts";
import { defaultCloseCode, type StopDetail } from "../../result.ts";
import { checkCloseDetail, checkMessages } from "../../session/outgoing.ts";
import { ByteReader, ByteWriter, MalformedError, textOf } from "./bytes.ts";
import { EntryType } from "./envelope.ts";

const OPCODES = ["text", "binary", "ping", "pong"] as const;

/** A stop as another node has requested it. */
export interface StopRequest {
  readonly reason: string;
  readonly detail: StopDetail;
}

export const listOf = (messages: Messages): readonly OutMessage[] =>
  Array.isArray(messages) ? messages : [messages as OutMessage];

export const typeOf = ({ opcode }: OutMessage): EntryType => EntryType[opcode];

/**
 * @param type below 4
 * @throws MalformedError for a message that may not be sent
 */
export const readMessage = (type: number, body: Uint8Array): OutMessage => {
  const opcode = OPCODES[type];
  if (opcode === undefined) throw new MalformedError("not a message");
  const message: OutMessage = { opcode, data: opcode === "text" ? textOf(body) : body };
  refuse(() => checkMessages(message, portableByteOps));
  return message;
};

export const writeStop = (reason: string, { code, text, abort, messages = [] }: StopDetail): IoData => {
  const writer = new ByteWriter();
  writer.sized(JSON.stringify({ reason, code, text, abort }));
  for (const message of listOf(messages)) {
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
  return refuse(() => {
    const { reason, code = defaultCloseCode(reason), text = null, abort = false } = JSON.parse(json);
    if (typeof reason !== "string" || typeof abort !== "boolean") throw new TypeError("not a stop");
    checkCloseDetail([code, text]);
    return { reason, detail: { code, text, abort, messages } };
  });
};

/** @throws MalformedError for any error */
const refuse = <T>(check: () => T): T => {
  try {
    return check();
  } catch (error) {
    throw new MalformedError((error as Error).message);
  }
};
