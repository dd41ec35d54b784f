/**
 * Reads the entries of a received envelope. All are read before any of them has an effect, so that an envelope that no
 * node can have sent has none. Entries of a type that is not known here are read as `unknown`, because they count, too.
 */
import type { OutMessage } from "../../message.ts";
import {
  readMessage,
  readPrefixed,
  readProbe,
  readStop,
  readVersions,
  type StopRequest,
  type Version,
} from "./bodies.ts";
import { type EntryOptions, EntryType, type EnvelopeEntry } from "./envelope.ts";

interface UnknownEntry {
  readonly type: "unknown";
}

/** An entry in the channel of a topic. */
export type TopicEntry = { readonly options: EntryOptions } & (
  | { readonly type: "message"; readonly message: OutMessage }
  | { readonly type: "info"; readonly info: Uint8Array }
  | { readonly type: "stop"; readonly request: StopRequest }
  | UnknownEntry
);

/** An entry in the channel of this node, or of all nodes. */
export type NodeEntry =
  | { readonly type: "info"; readonly info: Uint8Array }
  | { readonly type: "addressInfo"; readonly address: string; readonly info: Uint8Array }
  | { readonly type: "addressStop"; readonly address: string; readonly request: StopRequest }
  | { readonly type: "hello" | "beat"; readonly versions: readonly Version[] }
  | { readonly type: "goodbye" }
  | { readonly type: "probe"; readonly id: number }
  | { readonly type: "presence"; readonly name: string; readonly body: Uint8Array }
  | UnknownEntry;

/** @throws MalformedError for a body that no node has sent */
export const readTopicEntry = (options: EnvelopeEntry): TopicEntry => {
  const { type, body } = options;
  if (type <= EntryType.pong) return { type: "message", options, message: readMessage(type, body) };
  if (type === EntryType.info) return { type: "info", options, info: body };
  if (type === EntryType.stop) return { type: "stop", options, request: readStop(body) };
  return { type: "unknown", options };
};

/** @throws MalformedError for a body that no node has sent */
export const readNodeEntry = ({ type, body }: EnvelopeEntry): NodeEntry => {
  switch (type) {
    case EntryType.info:
      return { type: "info", info: body };
    case EntryType.addressInfo: {
      const [address, info] = readPrefixed(body);
      return { type: "addressInfo", address, info };
    }
    case EntryType.addressStop: {
      const [address, stop] = readPrefixed(body);
      return { type: "addressStop", address, request: readStop(stop) };
    }
    case EntryType.hello:
      return { type: "hello", versions: readVersions(body) };
    case EntryType.beat:
      return { type: "beat", versions: readVersions(body) };
    case EntryType.goodbye:
      return { type: "goodbye" };
    case EntryType.probe:
      return { type: "probe", id: readProbe(body) };
    case EntryType.presence: {
      const [name, message] = readPrefixed(body);
      return { type: "presence", name, body: message };
    }
    default:
      return { type: "unknown" };
  }
};

/** Whether messages with these options can be published together. */
export const isSentAlike = (a: EntryOptions, b: EntryOptions): boolean =>
  a.volatile === b.volatile && a.except.length + b.except.length === 0;
