/** The client of the task board, in the browser: its messages have the types of the server's schemas. */
import type { ClientMessage, ServerMessage } from "websock-js/typed";
// Only a type: no code of the server is loaded by the browser.
import type { Board } from "./board.ts";

type Command = ClientMessage<typeof Board>;
type Event = ServerMessage<typeof Board>;

const $ = (selector: string): Element => document.querySelector(selector)!;
const element = (tag: string, text: string): HTMLElement =>
  Object.assign(document.createElement(tag), { textContent: text });

const board = location.hash.slice(1) || "lobby";
const name = prompt("Your name", "Ada") ?? "Ada";
const socket = new WebSocket(`/board?${new URLSearchParams({ board, name })}`);
const send = (command: Command): void => socket.send(JSON.stringify(command));

const lists: HTMLElement[] = [];
const items = new Map<number, HTMLElement>();

const showColumn = (title: string): void => {
  const [section, list] = [element("section", ""), element("ul", "")];
  section.append(element("h2", title), list);
  $("#columns").append(section);
  lists.push(list);
};

const showTask = ({ id, title, column }: (Event & { type: "task" })["task"]): void => {
  items.get(id)?.remove();
  const item = element("li", title);
  // A click moves a task to the next column.
  item.onclick = () => send({ type: "move", id, column: (column + 1) % lists.length });
  items.set(id, item);
  lists[column]!.append(item);
};

const showWho = (names: readonly string[]): void => {
  $("#count").textContent = String(names.length);
  $("#who").replaceChildren(
    ...names.map((name) => {
      const button = element("button", name);
      button.title = `Kick ${name}`;
      button.onclick = () => send({ type: "kick", name });
      return button;
    }),
  );
};

socket.onmessage = ({ data }) => {
  const event: Event = JSON.parse(data);
  if (event.type === "board") {
    event.columns.forEach(showColumn);
    event.tasks.forEach(showTask);
  }
  if (event.type === "task") showTask(event.task);
  else showWho(event.who);
};
socket.onclose = ({ code, reason }) => {
  $("#status").textContent = `Disconnected: ${code} ${reason}`;
};
const form = $("form") as HTMLFormElement;
form.onsubmit = (event) => {
  event.preventDefault();
  send({ type: "add", title: String(new FormData(form).get("title")) });
  form.reset();
};
