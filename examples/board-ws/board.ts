/** The task board of `examples/board` on `ws`, for comparison: the same messages, checked by the same schemas. */
import type { IncomingMessage } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { COLUMNS, Command, Event, type Task } from "../board/messages.ts";

const HEARTBEAT = 30_000;
const MAX_BUFFERED = 16 * 1024 * 1024;

interface Client {
  readonly socket: WebSocket;
  readonly board: string;
  readonly name: string;
  isAlive: boolean;
}

const boards = new Map<string, Map<number, Task>>();
const members = new Map<string, Set<Client>>();
let lastId = 0;

export const webSocketServer = new WebSocketServer({ noServer: true, maxPayload: 4_096 });

const sendData = (client: Client, data: string): void => {
  if (client.socket.bufferedAmount > MAX_BUFFERED) client.socket.terminate();
  else if (client.socket.readyState === WebSocket.OPEN) client.socket.send(data);
};

const encode = (event: Event): string => JSON.stringify(Event.parse(event));

const tell = (board: string, event: Event, except?: Client): void => {
  const data = encode(event);
  for (const client of members.get(board) ?? []) if (client !== except) sendData(client, data);
};

const whoIsOn = (board: string): string[] => [...new Set([...(members.get(board) ?? [])].map(({ name }) => name))];

const kick = (name: string): void => {
  for (const clients of members.values())
    for (const client of clients) if (client.name === name) client.socket.close(4003, "kicked");
};

const change = (board: string, tasks: Map<number, Task>, task: Task): void => {
  tasks.set(task.id, task);
  tell(board, { type: "task", task });
};

const parse = (data: WebSocket.RawData, isBinary: boolean): Command | undefined => {
  if (isBinary) return undefined;
  try {
    return Command.safeParse(JSON.parse(String(data))).data;
  } catch {
    return undefined;
  }
};

const handle = (client: Client, tasks: Map<number, Task>, data: WebSocket.RawData, isBinary: boolean): void => {
  // Messages may still arrive after the server has sent a close frame.
  if (client.socket.readyState !== WebSocket.OPEN) return;
  const command = parse(data, isBinary);
  if (command === undefined) {
    client.socket.close(1007, "invalid message");
    return;
  }
  const known = command.type === "move" && tasks.get(command.id);
  if (command.type === "kick") kick(command.name);
  if (command.type === "add") change(client.board, tasks, { id: ++lastId, title: command.title, column: 0 });
  if (known) change(client.board, tasks, { ...known, column: command.column });
};

const leave = (client: Client): void => {
  const clients = members.get(client.board);
  clients?.delete(client);
  if (clients?.size === 0) members.delete(client.board);
  else tell(client.board, { type: "who", who: whoIsOn(client.board) });
};

webSocketServer.on("connection", (socket: WebSocket, req: IncomingMessage) => {
  const { searchParams } = new URL(req.url ?? "/", "http://localhost");
  const [board, name] = [searchParams.get("board") ?? "", searchParams.get("name") ?? ""];
  // Without a listener, an error of the socket ends the process.
  socket.on("error", (error) => console.error(error));
  if (board === "" || name === "") {
    socket.close(1011);
    return;
  }
  const client: Client = { socket, board, name, isAlive: true };
  const tasks = boards.get(board) ?? new Map<number, Task>();
  boards.set(board, tasks);
  const clients = members.get(board) ?? new Set();
  members.set(board, clients.add(client));
  socket.on("pong", () => {
    client.isAlive = true;
  });
  socket.on("close", () => leave(client));
  socket.on("message", (data, isBinary) => {
    // An error in a listener ends the process, too.
    try {
      handle(client, tasks, data, isBinary);
    } catch (error) {
      console.error(error);
      socket.close(1011);
    }
  });
  const who = whoIsOn(board);
  tell(board, { type: "who", who }, client);
  sendData(client, encode({ type: "board", columns: [...COLUMNS], tasks: [...tasks.values()], who }));
});

const heartbeat = setInterval(() => {
  for (const clients of members.values())
    for (const client of clients) {
      if (!client.isAlive) client.socket.terminate();
      client.isAlive = false;
      client.socket.ping();
    }
}, HEARTBEAT);
webSocketServer.on("close", () => clearInterval(heartbeat));
