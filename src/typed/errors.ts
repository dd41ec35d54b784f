/** The error of typed messages. */
import { withCode } from "../error-codes.ts";
import type { SchemaIssue } from "../standard-schema.ts";

/**
 * A message does not fit its schema.
 *
 * If a client has sent it, the connection was closed with 1007, and `terminate` receives this as
 * `{ error: InvalidMessage }`, unless the handler has `onInvalid`. If it was to be sent to a client, it was not sent:
 * `self.push`, `self.stop` and encoders throw this; thrown for the result of a callback, it is reported to `onError`,
 * and the connection is closed with 1011.
 */
export class InvalidMessage extends TypeError {
  override readonly name = "InvalidMessage";
  readonly code = "WEBSOCK_INVALID_MESSAGE";
  /** What is wrong, in the words of the schema's library. */
  readonly issues: readonly SchemaIssue[];

  constructor(message: string, issues: readonly SchemaIssue[]) {
    super(withCode("WEBSOCK_INVALID_MESSAGE", message));
    this.issues = issues;
  }
}
