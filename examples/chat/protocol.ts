/** What travels between the page and the server, as JSON in text messages. Both sides import this file. */

/** Somebody in a room. Names need not be unique; ids are. */
export interface Person {
  readonly id: string;
  readonly name: string;
}

export interface Said {
  readonly type: "said";
  /** Made by the page that sent it, which so knows its own message when it comes back. */
  readonly id: string;
  readonly from: Person;
  readonly text: string;
  /** The server's clock, in ms. */
  readonly at: number;
}

export interface CameOrWent {
  readonly type: "joined" | "left";
  readonly person: Person;
  readonly at: number;
}

/** The first thing that a page gets. */
export interface Welcome {
  readonly type: "welcome";
  readonly room: string;
  readonly you: Person;
  readonly people: readonly Person[];
  /** What was said lately, the oldest first. */
  readonly history: readonly Said[];
}

export type FromServer = Welcome | CameOrWent | Said;

export interface FromPage {
  readonly type: "say";
  readonly id: string;
  readonly text: string;
}

/** In UTF-16 code units, as `maxlength` counts. */
export const MAX_NAME = 24;
export const MAX_ROOM = 24;
export const MAX_TEXT = 1000;

/** The application's close codes (RFC 6455 §7.4.2: 4000–4999 are for private use). After these, trying again is futile. */
export const CLOSE = { badMessage: 4000, badName: 4001 } as const;
