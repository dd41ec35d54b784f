/** The type of `onError`, which receives all errors that the application should know of. */
import type { ConnectionInfo } from "../websock.ts";
import type { CallbackName } from "./handler.ts";

/** The origin of an error. */
export interface ErrorContext {
  /** The callback that caused it, if one did. */
  readonly callback: CallbackName | undefined;
  /** The id of the connection, as `self.id`. */
  readonly id: string;
  /** Facts about the connection, as `self.connection`. */
  readonly connection: ConnectionInfo;
  /**
   * The handler's name: the class name of a class instance, else the property `name` of the module or object, if it has one
   * (`export const name = "chat"`). In a Durable Object with several handlers, the name that was given to `attach`.
   */
  readonly handler: string | undefined;
  /** The path of the upgrade request, as `self.connection.path`. */
  readonly path: string;
}

/**
 * Receives errors that callbacks throw, invalid results, full mailboxes, infos for a handler without `handleInfo`, and options
 * without effect.
 */
export type OnError = (error: unknown, context: ErrorContext | undefined) => void;
