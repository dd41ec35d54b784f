/**
 * The chat room: a handler, written as a module. One connection is one person in one room.
 *
 * Each room is a topic: what is published to it reaches the pages of all people in the room, on all nodes.
 */
import { createHash } from "node:crypto";
import { type DataMessage, type HandleResult, json, ok, push, type Self, stop } from "websock-js";
import { Presence, type SendOptions, type Tracked } from "websock-js/pubsub";
import { addToHistory, dropHistory, historyOf, shareHistories } from "./history.ts";
import { node, pubsub } from "./node.ts";
import { nodes } from "./options.ts";
import {
  CLOSE,
  type FromPage,
  type FromServer,
  MAX_NAME,
  MAX_ROOM,
  MAX_TEXT,
  type Person,
  type Said,
  type Welcome,
} from "./protocol.ts";

/** What the route passes to `init`. It comes from the URL, and is not checked. */
export interface Arg {
  readonly room: string;
  readonly name: string;
  /** A secret of the page. It stays the same when the page reconnects, and so does the id of the person. */
  readonly key: string;
}

export interface State {
  readonly room: string;
  readonly me: Person;
}

/** The names of the people in each room, on all nodes, by their ids. */
const presence = new Presence<string>(pubsub);

export const init = async (arg: Arg, self: Self): Promise<HandleResult<State>> => {
  const me: Person = { id: idOf(arg.key || self.id), name: tidy(arg.name) };
  const room = tidy(arg.room).toLowerCase();
  const state: State = { room, me };
  // A page cannot see why a handshake is refused, but it can see the code and text of a close frame.
  const problem = problemWith("name", me.name, MAX_NAME) ?? problemWith("room", room, MAX_ROOM);
  if (problem !== undefined) return stop("normal", state, { code: CLOSE.badName, text: problem });

  // When `ready` resolves, what other nodes publish arrives here. Until the welcome is sent, it is held back. It may be
  // in the welcome, too: the page recognizes it by its id.
  await topicOf(room).subscribe(self).ready;
  presence.track(self, room, me.id, me.name);
  const people = Array.from(presence.list(room), personOf);
  const history = historyOf(room);
  return push(json({ type: "welcome", room, you: me, people, history, node, nodes } satisfies Welcome), state);
};

export const handleIn = (message: DataMessage, state: State): HandleResult<State> => {
  const say = parse(message);
  if (typeof say === "string") return stop("normal", state, { code: CLOSE.badMessage, text: say });
  const { room, me } = state;
  const said: Said = { type: "said", id: say.id, from: me, text: say.text, at: Date.now() };
  // In this order: a connection that becomes a member too late for the message finds it in the history.
  addToHistory(room, said);
  // The speaker receives it, too: so the page knows that the server has it.
  tell(room, [said]);
  return ok(state);
};

// Each node tells its own members who has joined and left, and what the node has missed while it could not be reached.
const HERE = { local: true };

presence.onDiff((room, { joins, leaves }) => {
  // A person who has reconnected has left with one connection, and is there with another.
  const gone = [...leaves].filter(([id]) => presence.get(room, id).length === 0);
  tell(room, [...news("left", gone), ...news("joined", [...joins])], HERE);
  if (presence.list(room).size === 0) dropHistory(room);
});

shareHistories((room, missed) => tell(room, missed, HERE));

const topicOf = (room: string) => pubsub.topic(`room:${room}`);

const tell = (room: string, messages: readonly FromServer[], options?: SendOptions): void =>
  void topicOf(room).publish(messages.map(json), options);

type Entry = readonly [id: string, connections: readonly Tracked<string>[]];

const personOf = ([id, [first]]: Entry): Person => ({ id, name: first!.meta });

const news = (type: "joined" | "left", entries: readonly Entry[]): FromServer[] =>
  entries.map((entry) => ({ type, person: personOf(entry), at: Date.now() }));

/** Everybody sees the ids. The hash keeps the key secret, so nobody can take the id of another person. */
const idOf = (key: string): string => createHash("sha256").update(key).digest("base64url").slice(0, 22);

/** Replaces white space by single spaces, so that names that look the same are the same. */
const tidy = (name: string): string => name.normalize("NFC").replace(/\s+/gu, " ").trim();

/** Control and format characters (some change the writing direction), except the joiners that some scripts need. */
const INVISIBLE = /[\p{Cc}\p{Cs}\p{Co}]|(?![\u200c\u200d])\p{Cf}/u;

const problemWith = (what: string, value: string, max: number): string | undefined => {
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(value)) return `a ${what} is needed`;
  if (value.length > max) return `the ${what} is longer than ${max} characters`;
  return INVISIBLE.test(value) ? `the ${what} has characters that cannot be seen` : undefined;
};

/** Returns what the page sent, or what is wrong with it. */
const parse = (message: DataMessage): FromPage | string => {
  if (message.opcode !== "text") return "only text messages, please";
  let value: unknown;
  try {
    value = JSON.parse(message.data);
  } catch {
    return "this is not JSON";
  }
  if (typeof value !== "object" || value === null) return "this is not an object";
  const { type, id, text }: { [Key in keyof FromPage]?: unknown } = value;
  if (type !== "say") return "the only type is say";
  if (typeof id !== "string" || !/^[\w-]{1,64}$/.test(id)) return "an id is needed";
  if (typeof text !== "string" || text.trim() === "") return "a text is needed";
  if (text.length > MAX_TEXT) return `the text is longer than ${MAX_TEXT} characters`;
  return { type, id, text };
};
