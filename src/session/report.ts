/** The type of `onError`, which receives all errors that the application should know of. */
import type { ConnectionInfo } from "../websock.ts";
import type { CallbackName } from "./handler.ts";

/** Where a reported error came from. */
export interface ErrorContext {
  /** The callback that failed; `undefined` if the error came from none. */
  readonly callback: CallbackName | undefined;
  /** The id of the connection: its `self.id`. */
  readonly id: string;
  /** Facts about the connection, such as the address of the client: its `self.connection`. */
  readonly connection: ConnectionInfo;
  /**
   * The name of the handler: of a class instance, the name of its class; of a module or an object, its property `name`
   * (`export const name = "chat"`), if it has one. In a Durable Object with several handlers, the name passed to
   * `attach`.
   */
  readonly handler: string | undefined;
  /** The path of the upgrade request: `self.connection.path`. */
  readonly path: string;
}

/**
 * Receives everything that the library reports, for example errors of callbacks, invalid results, abandoned callbacks,
 * mailbox overflows, infos without a `handleInfo`, errors of `only`, `origins` and `subprotocols`, and options without
 * effect. What it throws or rejects with is printed with `console.error`.
 *
 * @param error the error, which may be any value that the application threw
 * @param context the connection and the callback; `undefined` if the error belongs to the server rather than a
 * connection
 */
export type OnError = (error: unknown, context: ErrorContext | undefined) => void;
