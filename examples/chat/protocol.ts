/** The messages between the page and the server: JSON in text messages. Both sides import this file. */

/** A person in a room. Ids are unique, and stay the same after a reconnection. Names need not be unique. */
export interface Person {
  readonly id: string;
  readonly name: string;
}

export interface Said {
  readonly type: "said";
  /** Created by the page that sent the message, so that it recognizes its own message when it comes back. */
  readonly id: string;
  readonly from: Person;
  readonly text: string;
  /** The time of the server, in milliseconds. */
  readonly at: number;
}

export interface CameOrWent {
  readonly type: "joined" | "left";
  readonly person: Person;
  readonly at: number;
}

/** The first message that a page receives. */
export interface Welcome {
  readonly type: "welcome";
  readonly room: string;
  readonly you: Person;
  readonly people: readonly Person[];
  /** The latest messages, the oldest first. */
  readonly history: readonly Said[];
  /** The number of the node that serves this page, from 1, and how many nodes there are. */
  readonly node: number;
  readonly nodes: number;
}

export type FromServer = Welcome | CameOrWent | Said;

export interface FromPage {
  readonly type: "say";
  readonly id: string;
  readonly text: string;
}

/** In UTF-16 code units, like the HTML attribute `maxlength`. */
export const MAX_NAME = 24;
export const MAX_ROOM = 24;
export const MAX_TEXT = 1000;

/** The application's close codes (RFC 6455 §7.4.2: 4000–4999 are private). A page does not reconnect after these. */
export const CLOSE = { badMessage: 4000, badName: 4001 } as const;
