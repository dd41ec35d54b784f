/**
 * A room whose clients miss nothing when they reconnect. All messages are appended to a store, and each connection reads
 * the store, beginning after the last entry that its client has seen. The topic carries no messages. It carries signals
 * that there is something to read, because messages of two nodes may arrive in another order than that of the store.
 */
import { type DataMessage, type HandleResult, json, ok, push, type Self, stop } from "websock-js";
import type { Topic } from "websock-js/pubsub";
import { isUpTo, PAGE, START, type Store } from "./store.ts";

/** There is an entry with this id. Without an id: there may be new entries. */
export interface Signal {
  readonly upTo?: string;
}

export interface Room {
  readonly store: Store;
  readonly topic: Topic<Signal>;
}

/** What the route passes to `init`: the room, and the id of the last entry that the client has seen. */
export interface Arg extends Room {
  readonly last: string | undefined;
}

export interface State extends Room {
  /** The id of the last entry that was sent to the client. */
  readonly last: string;
}

export const init = async ({ last, ...room }: Arg, self: Self<Signal>): Promise<HandleResult<State>> => {
  // First the subscription, then the read: if an entry is appended after the read, its signal arrives.
  await room.topic.subscribe(self, { onGap: () => ({}) }).ready;
  const state = { ...room, last: await read(room, last, self) };
  return push(json({ type: "ready" }), state);
};

export const handleIn = async (message: DataMessage, state: State): Promise<HandleResult<State>> => {
  const key = keyOf(message);
  if (key === undefined) return stop("normal", state, { code: 4000, text: "not a valid message" });
  // The entry must be in the store when the signal arrives. If `append` fails, the connection is closed, and the page
  // sends the message again over the next one.
  state.topic.broadcast({ upTo: await state.store.append(String(message.data), key) });
  return ok(state);
};

export const handleInfo = async ({ upTo }: Signal, state: State, self: Self<Signal>): Promise<HandleResult<State>> => {
  if (upTo !== undefined && isUpTo(upTo, state.last)) return ok(state);
  return ok({ ...state, last: await read(state, state.last, self) });
};

/** Sends the entries after `last` to the client, no faster than it reads, and returns the id of the last one sent. */
const read = async ({ store }: Room, last: string | undefined, self: Self<Signal>): Promise<string> => {
  for (let cursor = last; ; ) {
    const entries = cursor === undefined ? await store.newest() : await store.after(cursor);
    if (entries === undefined) {
      self.push(json({ type: "resync" }));
      cursor = undefined;
      continue;
    }
    self.push(entries.map((entry) => json({ type: "message", ...entry })));
    cursor = entries.at(-1)?.id ?? cursor ?? START;
    if (entries.length < PAGE || !(await self.drained())) return cursor;
  }
};

/** A message has a sender and a number, which together identify it when it is sent again. */
const keyOf = ({ data }: DataMessage): string | undefined => {
  try {
    const { from, n } = JSON.parse(String(data));
    return typeof from === "string" && from.length <= 36 && Number.isSafeInteger(n) ? `${from}:${n}` : undefined;
  } catch {
    return undefined;
  }
};
