/** What hosts with frames of their own hand us, as the session wants it. */
import { ProtocolError } from "../../errors.ts";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { TransportEvents } from "../../transport.ts";

const tooBig = (size: number): ProtocolError =>
  new ProtocolError(CLOSE.tooBig, `a message of ${size} octets is too big`);

/** Hands a text on, unless it is larger than `max` octets. */
export const receiveText = (session: TransportEvents, data: string, max: number, byteOps: ByteOps): void => {
  session.onActivity();
  const units = data.length;
  // A unit takes up to three octets: only near the limit must they be counted. The queue counts what memory holds: units.
  if (units * 3 > max) {
    const size = byteOps.utf8Length(data);
    if (size > max) {
      session.onProtocolError(tooBig(size));
      return;
    }
  }
  session.onText(data, units);
};

/** Hands octets on, unless there are more than `max`. They must be nobody else's. */
export const receiveBinary = (session: TransportEvents, data: Uint8Array<ArrayBuffer>, max: number): void => {
  session.onActivity();
  const size = data.length;
  if (size > max) session.onProtocolError(tooBig(size));
  else session.onBinary(data);
};

/** Tells of the peer's close frame. */
export const receiveClose = (session: TransportEvents, code: number, text: string): void => {
  session.onActivity();
  session.onClose(code === CLOSE.noStatusReceived ? undefined : code, text);
};
