/** Passes events of hosts with their own protocol engine to the session. */
import { ProtocolError } from "../../errors.ts";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { TransportEvents } from "../../transport.ts";

/** Reported by hosts for a close frame without a code (RFC 6455 §7.4.1). */
export const NO_CLOSE_CODE = 1005;

/** Reported by hosts for a connection that ended without a close frame (RFC 6455 §7.4.1). */
export const CONNECTION_LOST = 1006;

const tooBig = (size: number): ProtocolError =>
  new ProtocolError(CLOSE.tooBig, `received a message of ${size} bytes, which is too big`);

/** Passes a text on, unless it is larger than `max` bytes. */
export const receiveText = (session: TransportEvents, data: string, max: number, byteOps: ByteOps): void => {
  session.onActivity();
  const units = data.length;
  // A UTF-16 unit takes up to three bytes: count only near the limit. The session's queue counts units, as memory does.
  if (units * 3 > max) {
    const size = byteOps.utf8Length(data);
    if (size > max) {
      session.onProtocolError(tooBig(size));
      return;
    }
  }
  session.onText(data, units);
};

/** Passes bytes on, unless there are more than `max`. The session takes ownership of `data`. */
export const receiveBinary = (session: TransportEvents, data: Uint8Array<ArrayBuffer>, max: number): void => {
  session.onActivity();
  const size = data.length;
  if (size > max) session.onProtocolError(tooBig(size));
  else session.onBinary(data);
};

/** Passes the peer's close frame on. */
export const receiveClose = (session: TransportEvents, code: number, text: string): void => {
  session.onActivity();
  session.onClose(code === NO_CLOSE_CODE ? undefined : code, text);
};
