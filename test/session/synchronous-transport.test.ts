/** A transport may report events synchronously while the session closes it. */
import { expect, test } from "vitest";
import { type CloseReason, ok, ProtocolError, push, type Self, text } from "websock-js";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { capabilities } from "../../src/testing/memory-transport.ts";
import type { Transport, TransportEvents } from "../../src/transport.ts";

/** A transport with a backlog, which reports an event as soon as the session reads again. */
class Backlogged implements Transport {
  readonly buffered = 100_000;
  readonly bytesFlushed = 0;
  private readonly report: (events: TransportEvents) => void;
  private events!: TransportEvents;

  constructor(report: (events: TransportEvents) => void) {
    this.report = report;
  }

  open(events: TransportEvents): void {
    this.events = events;
  }
  send(): void {}
  close(): void {}
  abort(): void {}
  pause(): void {}
  resume(): void {
    this.report(this.events);
  }
}

test.each<[string, (events: TransportEvents) => void]>([
  ["a protocol error", (events) => events.onProtocolError(new ProtocolError(1002, "invalid"))],
  ["the host's own idle timeout", (events) => events.onIdle()],
  ["the stop of the host", (events) => events.onHostStop()],
  ["a close frame", (events) => events.onClose(1000, "")],
  ["the end of the connection", (events) => events.onDisconnect()],
])("terminate is called once, after self.signal is aborted, if closing reports %s", (_name, report) => {
  const ends: (readonly [reason: CloseReason, aborted: boolean])[] = [];
  const handler = {
    init: (_: unknown, self: Self) => push(text("x"), self.signal.aborted),
    handleIn: () => ok(false),
    terminate: (reason: CloseReason, _: boolean, self: Self) => void ends.push([reason, self.signal.aborted]),
  };
  const session = new Session(callbacksOf(handler), new Backlogged(report), FACTS, {
    capabilities,
    options: resolveOptions(undefined),
    clock: new ManualClock(),
    byteOps: portableByteOps,
    onError: () => undefined,
  });
  session.start(undefined);
  session.shutdown(1001);
  expect(ends).toEqual([["shutdown", true]]);
});
