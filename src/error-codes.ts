/** The stable codes of errors, and functions that create errors with a code. */

/**
 * The stable codes of the library's errors, in their property `code`. Their messages, which may change, end with the
 * code. docs/errors.md has a section for each, with cause and cure.
 *
 * ```ts
 * const isSlow = (error: unknown) => error instanceof Error && "code" in error && error.code === "WEBSOCK_SLOW_CONSUMER";
 * ```
 */
export type ErrorCode =
  | "WEBSOCK_ALREADY_ANSWERED"
  | "WEBSOCK_ALREADY_ATTACHED"
  | "WEBSOCK_ASYNC_DECISION"
  | "WEBSOCK_ASYNC_SCHEMA"
  | "WEBSOCK_BACKPLANE_SETUP"
  | "WEBSOCK_CALLBACK_ABANDONED"
  | "WEBSOCK_CALLBACK_TIMEOUT"
  | "WEBSOCK_CHANNEL_OVERFLOW"
  | "WEBSOCK_CONNECTION_ENDING"
  | "WEBSOCK_CONNECTION_LOST"
  | "WEBSOCK_DECISION_FAILED"
  | "WEBSOCK_ENGINE_AWAY"
  | "WEBSOCK_ENTRY_TOO_LARGE"
  | "WEBSOCK_HEAP_EXCEEDED"
  | "WEBSOCK_INFO_DROPPED"
  | "WEBSOCK_INVALID_ARGUMENT"
  | "WEBSOCK_INVALID_CHANNEL"
  | "WEBSOCK_INVALID_CLOSE"
  | "WEBSOCK_INVALID_HANDLER"
  | "WEBSOCK_INVALID_MESSAGE"
  | "WEBSOCK_INVALID_OPTION"
  | "WEBSOCK_INVALID_RESULT"
  | "WEBSOCK_INVALID_SELF"
  | "WEBSOCK_JOIN_TIMEOUT"
  | "WEBSOCK_MAILBOX_OVERFLOW"
  | "WEBSOCK_MALFORMED_ENVELOPE"
  | "WEBSOCK_NOT_CLONEABLE"
  | "WEBSOCK_NOT_SERIALIZABLE"
  | "WEBSOCK_NOT_SUPPORTED"
  | "WEBSOCK_NO_SUBPROTOCOL"
  | "WEBSOCK_NO_WORKER"
  | "WEBSOCK_PROTOCOL_ERROR"
  | "WEBSOCK_SLOW_CONSUMER"
  | "WEBSOCK_STATE_NOT_STORED"
  | "WEBSOCK_TEST_CONNECTION_ENDED"
  | "WEBSOCK_UNKNOWN_ADAPTER"
  | "WEBSOCK_UNKNOWN_HANDLER"
  | "WEBSOCK_UNSENDABLE_MESSAGE"
  | "WEBSOCK_UPGRADE_REFUSED"
  | "WEBSOCK_WORKER_EXITED"
  | "WEBSOCK_WORKER_STUCK"
  | "WEBSOCK_WRONG_SERVER";

/** An error with a code. */
export type Coded<E extends Error> = E & { readonly code: ErrorCode };

/** The message of an error, which ends with its code. */
export const withCode = (code: ErrorCode, message: string): string => `${message} (${code})`;

/** Creates an Error with a code. */
export const codedError = (code: ErrorCode, message: string, options?: ErrorOptions): Coded<Error> =>
  Object.assign(new Error(withCode(code, message), options), { code });

/** Creates a TypeError with a code. */
export const codedTypeError = (code: ErrorCode, message: string, options?: ErrorOptions): Coded<TypeError> =>
  Object.assign(new TypeError(withCode(code, message), options), { code });

/** Creates a RangeError with a code. */
export const codedRangeError = (code: ErrorCode, message: string, options?: ErrorOptions): Coded<RangeError> =>
  Object.assign(new RangeError(withCode(code, message), options), { code });
