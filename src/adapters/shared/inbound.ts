/** What hosts with frames of their own hand us, as the session wants it. */
import { ProtocolError } from "../../errors.ts";
import type { Octets } from "../../protocol/byte-ops.ts";
import { CLOSE } from "../../protocol/close.ts";
import type { TransportEvents } from "../../transport.ts";

/** A host reports a close frame without a code as this (RFC 6455 §7.1.5). */
const NO_CODE = 1005;

const tooBig = (size: number): ProtocolError =>
  new ProtocolError(CLOSE.tooBig, `received a message of ${size} bytes, which is too big`);

/** Hands a text on, unless it is larger than `max` octets. */
export const receiveText = (session: TransportEvents, data: string, max: number, octets: Octets): void => {
  session.received();
  const units = data.length;
  // A unit takes up to three octets: only near the limit must they be counted. The queue counts what memory holds: units.
  if (units * 3 > max) {
    const size = octets.utf8Length(data);
    if (size > max) {
      session.failed(tooBig(size));
      return;
    }
  }
  session.text(data, units);
};

/** Hands octets on, unless there are more than `max`. They must be nobody else's. */
export const receiveBinary = (session: TransportEvents, data: Uint8Array<ArrayBuffer>, max: number): void => {
  session.received();
  const size = data.length;
  if (size > max) session.failed(tooBig(size));
  else session.binary(data);
};

/** Tells of the peer's close frame. */
export const receiveClose = (session: TransportEvents, code: number, text: string): void => {
  session.received();
  session.closing(code === NO_CODE ? undefined : code, text);
};
