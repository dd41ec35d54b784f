/** Whoever is told of an error may end the connection, close the server for instance: `terminate` still runs once. */
import { describe, expect, test } from "vitest";
import { type CloseReason, MailboxOverflow, ok } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { capabilities, MemoryTransport } from "../../src/testing/memory-transport.ts";

/** A session whose `handleIn` never settles; the first error that is reported shuts it down. */
const hanging = () => {
  const clock = new ManualClock();
  const options = resolveOptions({ closeTimeout: 1_000 });
  const errors: unknown[] = [];
  const ends: unknown[] = [];
  const handler = {
    init: () => ok("state"),
    handleIn: () => new Promise<never>(() => {}),
    handleInfo: () => ok("state"),
    terminate: (reason: CloseReason, state: unknown) => void ends.push([reason, state]),
  };
  const ignore = (): void => {};
  const transport = new MemoryTransport({ onMessage: ignore, onClose: ignore, onAbort: ignore, onResume: ignore });
  const onError = (error: unknown): void => {
    errors.push(error);
    session.shutdown(1001);
  };
  const session: Session = new Session(
    callbacksOf(handler),
    transport,
    { ...FACTS },
    { capabilities, options, clock, byteOps: portableByteOps, onError },
  );
  session.start(undefined);
  session.onActivity();
  session.onText("never settles", 13);
  return { session, clock, errors, ends };
};

describe("a connection that is ended by whoever is told of an error", () => {
  test("terminates once where a callback is given up", () => {
    const { session, clock, errors, ends } = hanging();
    session.onClose(1000, "");
    clock.advance(1_000);
    expect(errors).toHaveLength(1);
    expect(ends).toEqual([["shutdown", "state"]]);
  });

  test("terminates once where infos overflow", async () => {
    const { session, clock, errors, ends } = hanging();
    while (session.deliver("info"));
    await new Promise<void>((resolve) => clock.defer(resolve));
    expect(errors).toEqual([expect.any(MailboxOverflow)]);
    clock.advance(1_000);
    expect(errors).toHaveLength(2);
    expect(ends).toEqual([["shutdown", "state"]]);
  });
});
