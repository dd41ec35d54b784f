/** The error classes that the library throws and reports. */
import { withCode } from "./error-codes.ts";
import type { CloseReason } from "./websock.ts";

/**
 * Thrown by `upgrade` if its first argument belongs to no server that the library knows, usually because `attach` was
 * not called for the server. The message contains the argument and the call that is missing.
 */
export class UnknownAdapterError extends TypeError {
  override readonly name = "UnknownAdapterError";
  readonly code = "WEBSOCK_UNKNOWN_ADAPTER";
  constructor(message: string) {
    super(withCode("WEBSOCK_UNKNOWN_ADAPTER", message));
  }
}

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/**
 * Thrown by `upgrade` if the upgrade request must be refused. Frameworks create the right HTTP response from its
 * `status`, `statusCode`, `headers` and `expose`; code without a framework gets the response from `getResponse()`. If
 * nothing catches the error, the adapter sends the response.
 *
 * It prints as a single line without a stack trace, so that a client that causes many refusals does not fill the log.
 * When it is inspected or logged with `console.log`, that line ends with the code. Its message and its stack do not,
 * because frameworks send them as the body of the response.
 * Every refused request is counted in `Attachment.refused` and, on hosts with `node:diagnostics_channel`, published on
 * the channel `websock-js:refused`.
 */
export class UpgradeError extends Error {
  override readonly name = "UpgradeError";
  readonly code = "WEBSOCK_UPGRADE_REFUSED";
  /**
   * The HTTP status of the response:
   *
   * - 400: the request violates RFC 6455 §4.2.1 or RFC 8441 §5, has too many headers, or the function `only` of
   *   `attach` failed
   * - 403: the origin is not allowed (RFC 6455 §10.2)
   * - 405: wrong method (RFC 9110 §15.5.6)
   * - 426: not an upgrade request (RFC 9110 §15.5.22), or an unsupported WebSocket version (RFC 6455 §4.4)
   * - 500: one of the functions `origins` and `subprotocols` failed
   * - 501: an extended CONNECT (HTTP/2) for another protocol (as RFC 9220 §3 recommends for HTTP/3)
   * - 503: the server is shutting down (RFC 9110 §15.6.4)
   */
  readonly status: number;
  /** Same as `status`, under the name that some frameworks read. */
  readonly statusCode: number;
  /**
   * Headers of the response, by lower-case name. Depending on the status, they contain `allow`, `upgrade` and
   * `connection`, `sec-websocket-version` or `retry-after`, or are empty.
   */
  readonly headers: Readonly<Record<string, string>>;
  /** Tells frameworks that the message may be shown to the client. */
  readonly expose = true;

  /**
   * @param status the HTTP status of the response
   * @param message the body of the response
   * @param headers headers of the response. Default: none
   */
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.statusCode = status;
    this.headers = headers;
    this.stack = `UpgradeError: ${message.replaceAll(/[\r\n]+/g, " ")}`;
  }

  /** Used by `console.log`, which would otherwise print every property. */
  [INSPECT](): string {
    return withCode(this.code, this.stack!);
  }

  /** The response to send: `status`, `headers`, and the message as plain text. */
  getResponse(): Response {
    return new Response(`${this.message}\n`, {
      status: this.status,
      headers: { "content-type": "text/plain; charset=utf-8", ...this.headers },
    });
  }
}

/**
 * The `reason` of `self.signal` after it has been aborted. The signal is aborted as soon as it is decided that the
 * connection ends, before `terminate` is called.
 */
export class AbortError extends Error {
  override readonly name = "AbortError";
  readonly code = "WEBSOCK_CONNECTION_ENDING";
  /** Why the connection is ending: the same value that `terminate` receives. */
  readonly reason: CloseReason;

  constructor(reason: CloseReason) {
    const message =
      typeof reason === "string" ? `the connection is ending: ${reason}` : "the connection is ending with an error";
    super(withCode("WEBSOCK_CONNECTION_ENDING", message), {
      cause: typeof reason === "string" ? undefined : reason.error,
    });
    this.reason = reason;
  }
}

/**
 * The connection was lost: it ended without a close frame from the client. `terminate` receives it as
 * `{ error: ConnectionLost }`. It is not reported to `onError`, and has no stack trace.
 */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  readonly code = "WEBSOCK_CONNECTION_LOST";
  constructor(message = "the connection was lost without a close frame") {
    super(withCode("WEBSOCK_CONNECTION_LOST", message));
  }
}

/**
 * Creates the error of a connection that is lost. Clients cause it as often as they like, and capturing a stack trace,
 * which would show only the library, takes a quarter of the time in which a connection is closed.
 */
export const connectionLost = (): ConnectionLost => {
  const { stackTraceLimit } = Error;
  // `Reflect.set` does not throw where `Error` is frozen.
  Reflect.set(Error, "stackTraceLimit", 0);
  const error = new ConnectionLost();
  Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  error.stack = `${error.name}: ${error.message}`;
  return error;
};

/**
 * The client violated the protocol or exceeded a limit such as `maxMessageSize`. `terminate` receives it as
 * `{ error: ProtocolError }`.
 */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  /**
   * The close code that was sent to the client: 1002, 1007, 1008 or 1009.
   *
   * @see https://www.rfc-editor.org/rfc/rfc6455#section-7.4.1
   */
  readonly closeCode: number;
  /** The close reason text that was sent to the client: the message without the error's code. */
  readonly closeText: string;
  readonly code = "WEBSOCK_PROTOCOL_ERROR";
  constructor(closeCode: number, closeText: string) {
    super(withCode("WEBSOCK_PROTOCOL_ERROR", closeText));
    this.closeCode = closeCode;
    this.closeText = closeText;
  }
}

/**
 * The client reads too slowly: more than `maxBuffered` bytes would have been buffered, or the client read none of the
 * buffered bytes for `timeout` ms. The connection was closed with 1013. `terminate` receives it as
 * `{ error: SlowConsumer }`.
 *
 * @see https://www.iana.org/assignments/websocket/websocket.xhtml#close-code-number
 */
export class SlowConsumer extends Error {
  override readonly name = "SlowConsumer";
  readonly code = "WEBSOCK_SLOW_CONSUMER";
  constructor(message: string) {
    super(withCode("WEBSOCK_SLOW_CONSUMER", message));
  }
}

/**
 * More than 65 536 infos sent with `self.send` are waiting for `handleInfo`. The connection was closed with 1011.
 * `terminate` receives it as `{ error: MailboxOverflow }`, and it is reported to `onError`.
 */
export class MailboxOverflow extends Error {
  override readonly name = "MailboxOverflow";
  readonly code = "WEBSOCK_MAILBOX_OVERFLOW";
  constructor(message: string) {
    super(withCode("WEBSOCK_MAILBOX_OVERFLOW", message));
  }
}
