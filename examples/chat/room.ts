/**
 * The chat room: a handler, written as a module. One connection is one person in one room.
 *
 * Each room is a topic: what is published to it reaches the pages of all people in the room, in the same order.
 */
import { type CloseReason, type DataMessage, type HandleResult, json, ok, push, type Self, stop } from "websock-js";
import { PubSub, type Topic } from "websock-js/pubsub";
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
}

export interface State {
  readonly room: Room;
  readonly me: Person;
}

interface Room {
  readonly name: string;
  readonly topic: Topic;
  readonly people: Map<string, Person>;
  readonly history: Said[];
}

const HISTORY = 50;

const pubsub = new PubSub();

/** The rooms that have people in them. */
const rooms = new Map<string, Room>();

export const init = (arg: Arg, self: Self): HandleResult<State> => {
  const me: Person = { id: self.id, name: tidy(arg.name) };
  const name = tidy(arg.room).toLowerCase();
  const room = rooms.get(name) ?? { name, topic: pubsub.topic(`room:${name}`), people: new Map(), history: [] };
  const state: State = { room, me };
  // A page cannot see why a handshake is refused, but it can see the code and text of a close frame.
  const problem = problemWith("name", me.name, MAX_NAME) ?? problemWith("room", name, MAX_ROOM);
  if (problem !== undefined) return stop("normal", state, { code: CLOSE.badName, text: problem });

  // This connection becomes a member when `init` has returned, so it does not receive this message.
  tell(room, { type: "joined", person: me, at: Date.now() });
  rooms.set(name, room);
  room.people.set(me.id, me);
  room.topic.subscribe(self);
  const people = [...room.people.values()];
  return push(json({ type: "welcome", room: name, you: me, people, history: room.history } satisfies Welcome), state);
};

export const handleIn = (message: DataMessage, state: State): HandleResult<State> => {
  const say = parse(message);
  if (typeof say === "string") return stop("normal", state, { code: CLOSE.badMessage, text: say });
  const { room, me } = state;
  const said: Said = { type: "said", id: say.id, from: me, text: say.text, at: Date.now() };
  room.history.push(said);
  if (room.history.length > HISTORY) room.history.shift();
  // The speaker receives it, too: so the page knows that the server has it.
  tell(room, said);
  return ok(state);
};

export const terminate = (reason: CloseReason, { room, me }: State): void => {
  if (!room.people.delete(me.id)) return; // `init` has refused the name
  if (room.people.size === 0) rooms.delete(room.name);
  // When the server shuts down, everyone leaves.
  if (reason !== "shutdown") tell(room, { type: "left", person: me, at: Date.now() });
};

const tell = ({ topic }: Room, message: FromServer): void => void topic.publish(json(message));

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
