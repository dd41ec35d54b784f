/** A task board: everyone on a board sees its tasks, the changes of the others, and who else is there. */
import { ok, push, typed } from "websock-js/typed";
import { join, kick, tell, whoIsOn } from "./hub.ts";
import { COLUMNS, Command, Event, type Task } from "./messages.ts";

/** What the route passes to `init`. */
interface Arg {
  readonly board: string;
  readonly name: string;
}

/** The tasks of each board, by id. They stay until the process ends: an application would keep them in a database. */
const boards = new Map<string, Map<number, Task>>();
let lastId = 0;

export const Board = typed(
  { in: Command, out: Event },
  {
    init: ({ board, name }: Arg, self) => {
      if (name === "" || board === "") throw new Error("a board and a name are needed");
      const tasks = boards.get(board) ?? new Map<number, Task>();
      boards.set(board, tasks);
      const who = [...new Set([...whoIsOn(board), name])];
      join(self, board, name);
      tell(board, { type: "who", who }, self);
      return push({ type: "board", columns: [...COLUMNS], tasks: [...tasks.values()], who }, { board, tasks });
    },
    handleIn: (command, { board, tasks }) => {
      const known = command.type === "move" && tasks.get(command.id);
      if (command.type === "kick") kick(command.name);
      if (command.type === "add") change(board, tasks, { id: ++lastId, title: command.title, column: 0 });
      if (known) change(board, tasks, { ...known, column: command.column });
      return ok({ board, tasks });
    },
    terminate: (_reason, { board }) => tell(board, { type: "who", who: whoIsOn(board) }),
  },
);

const change = (board: string, tasks: Map<number, Task>, task: Task): void => {
  tasks.set(task.id, task);
  tell(board, { type: "task", task });
};
