/** Who is on which board: membership, messages to all, presence, and kicking a user from every board. */
import { json, type Self } from "websock-js";
import { PubSub } from "websock-js/pubsub";

const pubsub = new PubSub();
const board = (id: string) => pubsub.topic(`board:${id}`);
const user = (name: string) => pubsub.topic(`user:${name}`);
const names = new WeakMap<Self, string>();

/** Adds a connection to a board, as soon as its `init` has returned and until it ends. */
export const join = (self: Self, id: string, name: string): void => {
  names.set(self, name);
  board(id).subscribe(self);
  user(name).subscribe(self);
};

/** Sends a message to everyone on a board, except to `self` if that is given. */
export const tell = (id: string, message: object, self?: Self): void => {
  board(id).publish(json(message), self && { except: self });
};

/** The names of the people on a board, each one once. */
export const whoIsOn = (id: string): string[] => [
  ...new Set([...board(id).members()].flatMap((self) => names.get(self) ?? [])),
];

/** Closes all connections of a user, on every board. */
export const kick = (name: string): void => user(name).stop("kicked", { code: 4003, text: "kicked" });
