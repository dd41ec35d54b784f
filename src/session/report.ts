/** Errors that are somebody's to mend go to one place: the application's `onError` and the host's diagnostics. */
import type { ConnectionInfo } from "../websock.ts";
import type { CallbackName } from "./handler.ts";

/** Where an error came from. */
export interface ErrorContext {
  /** The callback that it came from, if it was one. */
  readonly callback: CallbackName | undefined;
  /** The id of the connection. */
  readonly id: string;
  readonly connection: ConnectionInfo;
}

/** Is told of errors in callbacks, of what they returned wrong, of full mailboxes, and of infos and options that nobody honours. */
export type OnError = (error: unknown, context: ErrorContext | undefined) => void;
