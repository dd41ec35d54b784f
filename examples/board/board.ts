/** A task board: everyone on a board sees its tasks, the changes of the others, and who else is there. */
import { type CloseReason, type DataMessage, type HandleResult, json, ok, push, type Self, stop } from "websock-js";
import { join, kick, tell, whoIsOn } from "./hub.ts";

export const COLUMNS = ["to do", "doing", "done"] as const;
const MAX_TITLE = 200;

export interface Task {
  readonly id: number;
  readonly title: string;
  readonly column: number;
}

/** What the route passes to `init`. */
export interface Arg {
  readonly board: string;
  readonly name: string;
}

export interface State {
  readonly board: string;
  readonly tasks: Map<number, Task>;
}

/** The tasks of each board, by id. They stay until the process ends: an application would keep them in a database. */
const boards = new Map<string, Map<number, Task>>();
let lastId = 0;

export const init = ({ board, name }: Arg, self: Self): HandleResult<State> => {
  if (name === "" || board === "") throw new Error("a board and a name are needed");
  const tasks = boards.get(board) ?? new Map<number, Task>();
  boards.set(board, tasks);
  const who = [...new Set([...whoIsOn(board), name])];
  join(self, board, name);
  tell(board, { type: "who", who }, self);
  return push(json({ type: "board", columns: COLUMNS, tasks: [...tasks.values()], who }), { board, tasks });
};

export const handleIn = (message: DataMessage, state: State): HandleResult<State> => {
  const command = parse(message);
  if (command === undefined) return stop("normal", state, { code: 4000, text: "not a valid command" });
  const { board, tasks } = state;
  if (command.type === "kick") kick(command.name);
  else {
    const task = command.type === "add" ? { id: ++lastId, title: command.title, column: 0 } : moved(tasks, command);
    if (task === undefined) return ok(state);
    tasks.set(task.id, task);
    tell(board, { type: "task", task });
  }
  return ok(state);
};

export const terminate = (_reason: CloseReason, { board }: State): void => {
  tell(board, { type: "who", who: whoIsOn(board) });
};

type Command =
  | { readonly type: "add"; readonly title: string }
  | { readonly type: "move"; readonly id: number; readonly column: number }
  | { readonly type: "kick"; readonly name: string };

const moved = (tasks: ReadonlyMap<number, Task>, { id, column }: Command & { type: "move" }): Task | undefined => {
  const task = tasks.get(id);
  return task && { ...task, column };
};

const parse = ({ data }: DataMessage): Command | undefined => {
  let value: Partial<Record<"type" | "title" | "id" | "column" | "name", unknown>>;
  try {
    value = Object(JSON.parse(String(data)));
  } catch {
    return undefined;
  }
  const { type, title, id, column, name } = value;
  if (type === "add" && typeof title === "string" && title.length <= MAX_TITLE) return { type, title };
  if (type === "move" && typeof id === "number" && typeof column === "number" && column in COLUMNS)
    return { type, id, column };
  return type === "kick" && typeof name === "string" ? { type, name } : undefined;
};
