/**
 * The chat room: a handler, written as a module. One connection is one person in one room.
 *
 * Everybody's `self` is kept in the room, and what happens is told to the others with `self.send`: it arrives at their
 * `handleInfo`, one after the other, in the same order for all of them.
 */
import { type CloseReason, type DataMessage, type HandleResult, ok, push, type Self, stop, text } from "websock-js";
import {
  type CameOrWent,
  CLOSE,
  type FromPage,
  type FromServer,
  MAX_NAME,
  MAX_ROOM,
  MAX_TEXT,
  type Person,
  type Said,
} from "./protocol.ts";

/** What the route hands over. It comes from the address: nobody has checked it. */
export interface Arg {
  readonly room: string;
  readonly name: string;
}

/** What the others tell a connection. */
export type Info = Said | CameOrWent;

export interface State {
  readonly room: Room;
  readonly me: Person;
}

interface Room {
  readonly name: string;
  readonly members: Map<string, { readonly person: Person; readonly self: Self<Info> }>;
  readonly history: Said[];
}

const HISTORY = 50;

/** The rooms with somebody in them. */
const rooms = new Map<string, Room>();

export const init = (arg: Arg, self: Self<Info>): HandleResult<State> => {
  const me: Person = { id: self.id, name: tidy(arg.name) };
  const name = tidy(arg.room).toLowerCase();
  const room = rooms.get(name) ?? { name, members: new Map(), history: [] };
  const state: State = { room, me };
  // A refused handshake tells a page nothing but 1006; a close code and its text arrive.
  const problem = problemWith("name", me.name, MAX_NAME) ?? problemWith("room", name, MAX_ROOM);
  if (problem !== undefined) return stop("normal", state, { code: CLOSE.badName, text: problem });

  tell(room, { type: "joined", person: me, at: Date.now() });
  rooms.set(name, room);
  room.members.set(me.id, { person: me, self });
  const people = Array.from(room.members.values(), (member) => member.person);
  return push(json({ type: "welcome", room: name, you: me, people, history: room.history }), state);
};

export const handleIn = (message: DataMessage, state: State): HandleResult<State> => {
  const say = parse(message);
  if (typeof say === "string") return stop("normal", state, { code: CLOSE.badMessage, text: say });
  const { room, me } = state;
  const said: Said = { type: "said", id: say.id, from: me, text: say.text, at: Date.now() };
  room.history.push(said);
  if (room.history.length > HISTORY) room.history.shift();
  // To the speaker too: that is how a page knows that the message got through.
  tell(room, said);
  return ok(state);
};

export const handleInfo = (info: Info, state: State): HandleResult<State> => push(json(info), state);

export const terminate = (reason: CloseReason, { room, me }: State): void => {
  // Whoever was never let in has nothing to leave.
  if (!room.members.delete(me.id)) return;
  if (room.members.size === 0) rooms.delete(room.name);
  // When the server goes, everybody goes: nobody needs to hear it of each of the others.
  if (reason !== "shutdown") tell(room, { type: "left", person: me, at: Date.now() });
};

const tell = (room: Room, info: Info): void => {
  for (const { self } of room.members.values()) self.send(info);
};

const json = (message: FromServer) => text(JSON.stringify(message));

/** Spaces of all kinds become one, so that two names that look the same are the same. */
const tidy = (name: string): string => name.normalize("NFC").replace(/\s+/gu, " ").trim();

/** Control and format characters (one that turns the writing direction, say), but for the joiners that some scripts need. */
const UNFIT = /[\p{Cc}\p{Cs}\p{Co}]|(?![\u200c\u200d])\p{Cf}/u;

const problemWith = (what: string, value: string, max: number): string | undefined => {
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(value)) return `a ${what} is needed`;
  if (value.length > max) return `the ${what} is longer than ${max} characters`;
  return UNFIT.test(value) ? `the ${what} has characters that cannot be seen` : undefined;
};

/** What the page sent, or what is wrong with it. */
const parse = (message: DataMessage): FromPage | string => {
  if (message.opcode !== "text") return "only text messages, please";
  let value: unknown;
  try {
    value = JSON.parse(message.data);
  } catch {
    return "this is not JSON";
  }
  if (typeof value !== "object" || value === null) return "this is not an object";
  const { type, id, text } = value as Record<string, unknown>;
  if (type !== "say") return "the only type is say";
  if (typeof id !== "string" || !/^[\w-]{1,64}$/.test(id)) return "an id is needed";
  if (typeof text !== "string" || text.trim() === "") return "a text is needed";
  if (text.length > MAX_TEXT) return `the text is longer than ${MAX_TEXT} characters`;
  return { type, id, text };
};
