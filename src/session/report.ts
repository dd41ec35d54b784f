/** Errors that are somebody's to mend go to one place: the application's `onError` and the host's diagnostics. */
import type { ConnectionInfo } from "../websock.ts";
import type { CallbackName } from "./handler.ts";

/** Where an error came from. */
export interface ErrorContext {
  /** The callback that it came from, if it was one. */
  readonly callback: CallbackName | undefined;
  /** The id of the connection, as `self.id`. */
  readonly id: string;
  /** Facts about the connection, as `self.connection`. */
  readonly connection: ConnectionInfo;
  /**
   * What the handler is called: a class instance by its class, a module or an object by its property `name`, if it has
   * one (`export const name = "chat"`). In a Durable Object with several handlers, the name given to `attach`.
   */
  readonly handler: string | undefined;
  /** The path of the upgrade request, as `self.connection.path`. */
  readonly path: string;
}

/** Is told of errors in callbacks, of what they returned wrong, of full mailboxes, and of infos and options that nobody honours. */
export type OnError = (error: unknown, context: ErrorContext | undefined) => void;
