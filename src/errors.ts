/** Every error that the library makes. */
import type { CloseReason } from "./websock.ts";

/** `upgrade` was given something that no adapter knows. The message says what, and which `attach` is missing. */
export class UnknownAdapterError extends TypeError {
  override readonly name = "UnknownAdapterError";
}

const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom") as never;

/**
 * The request may not become a WebSocket. Frameworks make the right response of it by themselves; without one,
 * `getResponse()` is that response.
 *
 * It prints as one line, without a stack trace: the client is at fault, and it can cause as many as it likes. Every refusal
 * is counted (`Attachment.refused`) and published on the diagnostics channel `websock-js:refused`.
 */
export class UpgradeError extends Error {
  override readonly name = "UpgradeError";
  /** The HTTP status: 400, 403, 405, 426, 501 or 503. */
  readonly status: number;
  /** The same, under the name that some frameworks look for. */
  readonly statusCode: number;
  /** Headers that belong to the response: `allow`, `upgrade`, `sec-websocket-version`, `retry-after`. */
  readonly headers: Readonly<Record<string, string>>;
  /** The message is meant for the client; some frameworks hide it otherwise. */
  readonly expose = true;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.statusCode = status;
    this.headers = headers;
    this.stack = `UpgradeError: ${message.replaceAll(/[\r\n]+/g, " ")}`;
  }

  /** For `console.log`: the properties would take ten lines. */
  [INSPECT](): string {
    return this.stack!;
  }

  /** The response that a server should give. */
  getResponse(): Response {
    return new Response(`${this.message}\n`, {
      status: this.status,
      headers: { "content-type": "text/plain; charset=utf-8", ...this.headers },
    });
  }
}

/** The `reason` of `self.signal` once the end of the connection is decided. */
export class AbortError extends Error {
  override readonly name = "AbortError";
  /** Why the connection ends, as `terminate` gets it. */
  readonly reason: CloseReason;

  constructor(reason: CloseReason) {
    super(
      typeof reason === "string" ? `the connection is ending: ${reason}` : "the connection is ending with an error",
      {
        cause: typeof reason === "string" ? undefined : reason.error,
      },
    );
    this.reason = reason;
  }
}

/** The connection ended without a close frame. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
  constructor(message = "the connection was lost without a close frame") {
    super(message);
  }
}

/** The peer broke the protocol, or one of the limits. `code` is the close code it was sent (RFC 6455 §7.4.1). */
export class ProtocolError extends Error {
  override readonly name = "ProtocolError";
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

/** The peer reads too slowly: more than `maxBuffered` octets would wait, or none was taken for `timeout` ms. */
export class SlowConsumer extends Error {
  override readonly name = "SlowConsumer";
}

/** More infos were sent to a connection than it handled: 65 536 are waiting. */
export class MailboxOverflow extends Error {
  override readonly name = "MailboxOverflow";
}
