/** The handler that every example serves: it greets, then echoes, and says goodbye to whoever says "bye". */
import { type DataMessage, type HandleResult, push, stop, text } from "websock-js";

export interface Visit {
  readonly user: string;
  readonly room: string;
}

export const init = ({ user, room }: Visit): HandleResult<number> => push(text(`hello ${user}, this is ${room}`), 0);

export const handleIn = (message: DataMessage, count: number): HandleResult<number> =>
  message.data === "bye"
    ? stop("normal", count, { code: 4000, text: `after ${count} messages` })
    : push(message, count + 1);
