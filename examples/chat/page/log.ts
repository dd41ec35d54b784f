/** The conversation: messages, joins and leaves, and messages that are not sent yet. */
import type { FromPage, Person, Said } from "../protocol.ts";
import { avatar, find, hueOf, make } from "./dom.ts";

const MOST_ENTRIES = 500;
/** Messages of the same person within this time, in ms, form a group. */
const TOGETHER = 5 * 60_000;

const scroll = find("scroll", HTMLElement);
const log = find("log", HTMLDivElement);
const waiting = find("waiting", HTMLDivElement);
const jump = find("jump", HTMLButtonElement);

/** The end of the conversation is visible, and stays visible. */
let following = true;
/** The sizes when the end was last shown. */
let followed = "";
let last: Said | undefined;
const shown = new Set<string>();

/** Shows a message once: after a reconnection, the server sends the history again. */
export const showSaid = (said: Said, me: Person): void => {
  if (shown.has(said.id)) return;
  shown.add(said.id);
  const mine = said.from.id === me.id;
  const again = last !== undefined && last.from.id === said.from.id && said.at - last.at < TOGETHER;
  last = said;
  const who = make("bdi", "who", said.from.name);
  who.style.setProperty("--hue", String(hueOf(said.from.name)));
  const head = make("p", "head", who, mine ? make("span", "you", " (you)") : "", " ", clock(said.at));
  add(message(`message${mine ? " mine" : ""}${again ? " again" : ""}`, said.from.name, head, said.text));
  if (!following && !mine) jump.hidden = false;
};

/** Shows that a person has joined or left. */
export const showNotice = (name: string, what: string, at: number): void => {
  last = undefined;
  add(make("p", "notice", make("bdi", "", name), ` ${what} `, clock(at)));
};

/** Unsent messages are shown at the end, outside of the log, so that screen readers do not announce them yet. */
export const showWaiting = (messages: readonly FromPage[], name: string): void => {
  waiting.replaceChildren(
    ...messages.map(({ text }) => message("message mine pending", name, make("p", "head", "not sent yet"), text)),
  );
};

export const clearLog = (): void => {
  log.replaceChildren();
  waiting.replaceChildren();
  shown.clear();
  last = undefined;
  follow();
};

/** Scrolls to the end, and keeps it visible. */
export const follow = (): void => {
  following = true;
  jump.hidden = true;
  scroll.scrollTop = scroll.scrollHeight;
  followed = sizes();
};

const sizes = (): string => `${scroll.scrollHeight} ${scroll.clientHeight}`;

const message = (className: string, name: string, head: HTMLElement, text: string): HTMLElement => {
  const words = make("p", "words", text);
  words.dir = "auto";
  return make("div", className, avatar(name), make("div", "bubble", head, words));
};

const add = (entry: HTMLElement): void => {
  log.append(entry);
  if (log.children.length > MOST_ENTRIES) log.firstElementChild?.remove();
};

const clock = (at: number): HTMLTimeElement => {
  const date = new Date(at);
  const time = make("time", "", date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = date.toISOString();
  return time;
};

scroll.addEventListener("scroll", () => {
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 48;
  // If sizes have changed, it was not the reader who scrolled. The observer below is about to scroll to the end.
  following = atEnd || (following && sizes() !== followed);
  if (following) jump.hidden = true;
});
// If the end is visible, it stays visible when the size of the content or of the window changes.
const observer = new ResizeObserver(() => {
  if (following) follow();
});
for (const element of [scroll, log, waiting]) observer.observe(element);
jump.addEventListener("click", () => {
  follow();
  scroll.focus();
});
