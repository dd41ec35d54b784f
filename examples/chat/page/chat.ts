/** The page: the form to enter a room, the room, and the keyboard. */
import { type FromPage, type FromServer, MAX_NAME, MAX_ROOM, MAX_TEXT, type Person } from "../protocol.ts";
import { Connection, type Status } from "./connection.ts";
import { avatar, find, make } from "./dom.ts";
import { showFrame } from "./inspector.ts";
import { clearLog, follow, showNotice, showSaid, showWaiting } from "./log.ts";

const door = find("door", HTMLElement);
const doorForm = find("door-form", HTMLFormElement);
const nameInput = find("name", HTMLInputElement);
const roomInput = find("room", HTMLInputElement);
const problem = find("problem", HTMLParagraphElement);
const chat = find("chat", HTMLDivElement);
const statusText = find("status", HTMLParagraphElement);
const nodeText = find("node", HTMLParagraphElement);
const banner = find("banner", HTMLDivElement);
const nextTry = find("next-try", HTMLSpanElement);
const retry = find("retry", HTMLButtonElement);
const composer = find("composer", HTMLFormElement);
const draft = find("draft", HTMLTextAreaElement);

let connection: Connection | undefined;
let me: Person = { id: "", name: "" };
const people = new Map<string, Person>();
/** Messages that the server has not sent back yet. Only that proves that the server has received them. */
let waiting: FromPage[] = [];

const enter = (name: string, room: string): void => {
  me = { id: "", name };
  waiting = [];
  clearLog();
  showPeople();
  find("room-name", HTMLSpanElement).textContent = room;
  document.title = `#${room} · WebSock chat`;
  history.replaceState(null, "", `#${encodeURIComponent(room)}`);
  problem.hidden = true;
  door.hidden = true;
  chat.hidden = false;
  draft.focus();
  const url = new URL(`/room?${new URLSearchParams({ room, name, key: newId() })}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  connection = new Connection(url.href, { status: onStatus, message: onMessage, frame: showFrame });
};

const leave = (why?: string): void => {
  connection?.close();
  connection = undefined;
  people.clear();
  clearInterval(countdown);
  document.title = "WebSock chat";
  chat.hidden = true;
  door.hidden = false;
  problem.hidden = why === undefined;
  problem.textContent = why === undefined ? "" : `The server said: ${why}.`;
  nameInput.focus();
};

const onMessage = (data: string): void => {
  const message = JSON.parse(data) as FromServer;
  switch (message.type) {
    case "welcome":
      me = message.you;
      people.clear();
      for (const person of message.people) people.set(person.id, person);
      showPeople();
      showNode(message.node, message.nodes);
      for (const said of message.history) onSaid(said);
      // Sent before the connection was lost, but not in the history: the server has not received it.
      for (const say of waiting) connection?.send(JSON.stringify(say));
      break;
    case "joined":
      if (people.has(message.person.id)) break; // the welcome, which was sent later, has told it
      people.set(message.person.id, message.person);
      showPeople();
      showNotice(message.person.name, "joined", message.at);
      break;
    case "left":
      if (!people.delete(message.person.id)) break;
      showPeople();
      showNotice(message.person.name, "left", message.at);
      break;
    case "said":
      onSaid(message);
  }
};

const onSaid = (said: FromServer & { type: "said" }): void => {
  if (waiting.some(({ id }) => id === said.id)) {
    waiting = waiting.filter(({ id }) => id !== said.id);
    showWaiting(waiting, me.name);
  }
  showSaid(said, me);
};

const say = (): void => {
  const text = draft.value.trim();
  if (text === "") return;
  draft.value = "";
  const message: FromPage = { type: "say", id: newId(), text };
  waiting.push(message);
  showWaiting(waiting, me.name);
  follow();
  if (chat.dataset.status === "connected") connection?.send(JSON.stringify(message));
};

/** `crypto.randomUUID` exists in secure contexts only, and this page may be served over plain HTTP in a local network. */
const newId = (): string => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("-");

const showPeople = (): void => {
  const sorted = [...people.values()].sort((a, b) => a.name.localeCompare(b.name));
  find("people", HTMLUListElement).replaceChildren(
    ...sorted.map(({ id, name }) => {
      const you = id === me.id ? [make("span", "you", " (you)")] : [];
      return make("li", "", avatar(name), make("span", "name", make("bdi", "", name), ...you));
    }),
  );
  find("people-count", HTMLSpanElement).textContent = String(sorted.length);
};

/** Several nodes may serve the room: then the page shows which one it is connected to. */
const showNode = (node: number, nodes: number): void => {
  nodeText.hidden = nodes === 1;
  nodeText.textContent = `node ${node} of ${nodes}`;
};

let countdown: ReturnType<typeof setInterval> | undefined;

const onStatus = (status: Status): void => {
  if (status.is === "refused") {
    leave(status.why);
    return;
  }
  clearInterval(countdown);
  chat.dataset.status = status.is;
  const lost = status.is === "waiting" || (status.is === "connecting" && status.again);
  // The text stays the same for all attempts, because screen readers announce each change.
  setText(statusText, status.is === "connected" ? "Connected" : lost ? "Reconnecting…" : "Connecting…");
  // The focus must not be lost with the button that disappears.
  if (!lost && banner.contains(document.activeElement)) draft.focus();
  banner.hidden = !lost;
  retry.setAttribute("aria-disabled", String(status.is !== "waiting"));
  nextTry.textContent = "Trying now…";
  if (status.is !== "waiting") return;
  const count = (): void => {
    const seconds = Math.max(1, Math.ceil((status.until - performance.now()) / 1000));
    nextTry.textContent = `Next try in ${seconds} s.`;
  };
  count();
  countdown = setInterval(count, 250);
};

const setText = (element: HTMLElement, text: string): void => {
  if (element.textContent !== text) element.textContent = text;
};

doorForm.addEventListener("submit", (event) => {
  event.preventDefault();
  enter(nameInput.value.trim(), roomInput.value.trim().toLowerCase());
});
composer.addEventListener("submit", (event) => {
  event.preventDefault();
  say();
  draft.focus();
});
draft.addEventListener("keydown", (event) => {
  // While an input method editor is composing text, Enter selects a word.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  composer.requestSubmit();
});
retry.addEventListener("click", () => connection?.retry());
find("leave", HTMLButtonElement).addEventListener("click", () => leave());

nameInput.maxLength = MAX_NAME;
roomInput.maxLength = MAX_ROOM;
draft.maxLength = MAX_TEXT;
// Unlike decodeURIComponent, this does not throw for an invalid URL.
const room = new URLSearchParams(`room=${location.hash.slice(1)}`).get("room");
roomInput.value = room?.slice(0, MAX_ROOM) || "lobby";
nameInput.focus();
