/** What nodes tell each other about presence. */
import { MalformedError } from "../nodes/bytes.ts";

/** An entry: its number, which is part of its `ref`, the topic, the key, and the meta. */
export type WireEntry = readonly [number: number, topic: string, key: string, meta: unknown];

/** Who has joined and left. `version` counts the diffs of a node, from 1. */
export interface DiffMessage {
  readonly type: "diff";
  readonly version: number;
  readonly joins: readonly WireEntry[];
  /** The numbers of entries. */
  readonly leaves: readonly number[];
}

/** A node has missed a diff, or is new: it asks for the state. */
export interface RequestMessage {
  readonly type: "request";
}

/** A part of all entries of a node after the diff `version`. */
export interface StateMessage {
  readonly type: "state";
  readonly version: number;
  readonly part: number;
  readonly parts: number;
  readonly entries: readonly WireEntry[];
}

export type PresenceMessage = DiffMessage | RequestMessage | StateMessage;

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const isEntry = (value: unknown): value is WireEntry =>
  Array.isArray(value) && isCount(value[0]) && typeof value[1] === "string" && typeof value[2] === "string";

const areEntries = (value: unknown): value is readonly WireEntry[] => Array.isArray(value) && value.every(isEntry);

/** @throws MalformedError for a value that no node has sent */
export const checkPresenceMessage = (value: unknown): PresenceMessage => {
  const message = (typeof value === "object" && value !== null ? value : {}) as Partial<DiffMessage & StateMessage>;
  const { type, version, joins, leaves, part, parts, entries } = message as Record<string, unknown>;
  if (type === "request") return { type };
  if (type === "diff" && isCount(version) && areEntries(joins) && Array.isArray(leaves) && leaves.every(isCount))
    return { type, version, joins, leaves };
  if (type === "state" && isCount(version) && isCount(part) && isCount(parts) && part < parts && areEntries(entries))
    return { type, version, part, parts, entries };
  throw new MalformedError("not a message of presence");
};
