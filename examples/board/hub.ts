/** Who is on which board: membership, messages to all, presence, and kicking a user from every board. */
import type { AnySelf } from "websock-js";
import { PubSub } from "websock-js/pubsub";
import { encoder } from "websock-js/typed";
import { Event } from "./messages.ts";

const pubsub = new PubSub();
const encode = encoder(Event);
const board = (id: string) => pubsub.topic(`board:${id}`);
const user = (name: string) => pubsub.topic(`user:${name}`);

/** Adds a connection to a board, as soon as its `init` has returned and until it ends. */
export const join = (self: AnySelf, id: string, name: string): void => {
  board(id).subscribe(self);
  user(name).subscribe(self);
};

/** Sends a message to everyone on a board, except to `self` if that is given. */
export const tell = (id: string, event: Event, self?: AnySelf): void => {
  board(id).publish(encode(event), self && { except: self });
};

/** The names of the people on a board, each one once. */
export const whoIsOn = (id: string): string[] => {
  const topics = [...board(id).members()].flatMap((self) => pubsub.topicsOf(self));
  return [...new Set(topics.flatMap((topic) => (topic.startsWith("user:") ? topic.slice(5) : [])))];
};

/** Closes all connections of a user, on every board. */
export const kick = (name: string): void => user(name).stop("kicked", { code: 4003, text: "kicked" });
