/** The conversation: what was said, who came and went, and what still waits to be sent. */
import type { FromPage, Person, Said } from "../protocol.ts";
import { avatar, find, hueOf, make } from "./dom.ts";

const MOST_ENTRIES = 500;
/** Within so many ms, what the same person says belongs together. */
const TOGETHER = 5 * 60_000;

const scroll = find("scroll", HTMLElement);
const log = find("log", HTMLDivElement);
const waiting = find("waiting", HTMLDivElement);
const jump = find("jump", HTMLButtonElement);

/** The reader is at the end, and wants to stay there. */
let following = true;
/** The sizes with which the end was last shown. */
let followed = "";
let last: Said | undefined;
const shown = new Set<string>();

/** Shows what was said, once: after a reconnection the server tells its history again. */
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

/** Somebody came or went. */
export const showNotice = (name: string, what: string, at: number): void => {
  last = undefined;
  add(make("p", "notice", make("bdi", "", name), ` ${what} `, clock(at)));
};

/** What has not got through yet stands at the end, outside the log: it is not read aloud before it is said. */
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

/** Goes to the end, and stays there. */
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
  // Where sizes have changed it was not the reader who left the end; the observer below is about to go there.
  following = atEnd || (following && sizes() !== followed);
  if (following) jump.hidden = true;
});
// Whatever changes the size of what is shown, or of the place for it, leaves a reader at the end at the end.
const observer = new ResizeObserver(() => {
  if (following) follow();
});
for (const element of [scroll, log, waiting]) observer.observe(element);
jump.addEventListener("click", () => {
  follow();
  scroll.focus();
});
