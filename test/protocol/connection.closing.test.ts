import { describe, expect, test } from "vitest";
import { join, OP } from "../support/client-frames.ts";
import { makeWire } from "./fake-wire.ts";
import { allByteOps } from "./parsing.ts";

const text = (payload: string) => ({ opcode: OP.text, payload });
const ping = (payload: string) => ({ opcode: OP.ping, payload });
const close = (code?: number, reason = "") => ({
  opcode: OP.close,
  payload: code === undefined ? "" : join(Uint8Array.of(code >> 8, code & 0xff), new TextEncoder().encode(reason)),
});

describe.each(allByteOps)("Connection with $name", ({ byteOps }) => {
  describe("the closing handshake (RFC 6455 §7)", () => {
    test("started by the peer: the session answers, then our direction ends", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.closing = (code) => connection.close(code, "");
      receive(close(4001, "bye"));
      expect(session.events).toEqual(["closing 4001 bye"]);
      expect(stream.sent).toEqual(["close 4001"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("an empty close frame of the peer is answered with an empty one", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.closing = (code, reason) => connection.close(code, reason);
      receive(close());
      expect(session.events).toEqual(["closing undefined"]);
      expect(stream.sent).toEqual(["close"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("the peer's close frame may be answered later, after further messages", () => {
      const { stream, connection, send, receive } = makeWire(byteOps);
      receive(text("a"), close(1000));
      expect(stream.log).toEqual([]);
      send("late answer");
      connection.close(1000, "");
      expect(stream.sent).toEqual(["text late answer", "close 1000"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("started by us: the stream ends when the peer has answered", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      connection.close(1001, "going");
      expect(stream.sent).toEqual(["close 1001 going"]);
      expect(stream.log).toEqual(["write"]);
      receive(close(1001));
      expect(stream.log).toEqual(["write", "end"]);
      // The session has decided the end already, and only records the code.
      expect(session.events).toEqual(["closing 1001"]);
    });

    test("started by both sides: the stream ends once", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = () => connection.close(1000, "");
      receive(text("stop"), close(1001));
      expect(stream.sent).toEqual(["close 1000"]);
      expect(stream.log).toEqual(["write", "end"]);
      expect(session.events).toEqual(["text stop", "closing 1001"]);
    });

    test("the close frame is written after everything that was sent before it, and nothing after it", () => {
      const { stream, connection, send } = makeWire(byteOps);
      send("before");
      connection.close(1000, "");
      send("after");
      connection.close(1011, "again");
      stream.tick();
      expect(stream.sent).toEqual(["text before", "close 1000"]);
    });

    test("after our close frame, everything but the peer's close frame is ignored", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      connection.close(1000, "");
      receive(text("ignored"), ping("not answered"), { ...text("x"), fin: false }, { opcode: 0, payload: "y" });
      expect(session.events).toEqual([]);
      expect(stream.sent).toEqual(["close 1000"]);
      receive(close());
      expect(stream.log.at(-1)).toBe("end");
    });

    test("after the peer's close frame, everything is ignored, in the same chunk and later", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.closing = (code) => connection.close(code, "");
      receive(close(1000), text("after"), close(1001), { opcode: 3 });
      connection.onBytes(new Uint8Array(1000).fill(0xff));
      expect(session.log).toEqual(["received", "closing 1000"]);
      expect(stream.sent).toEqual(["close 1000"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("while the stream is stalled, the close frame is written after the waiting messages", () => {
      const { stream, connection, send } = makeWire(byteOps);
      stream.stalled = true;
      send("waits");
      stream.tick();
      send("gathered");
      connection.close(1013, "");
      expect(stream.sent).toEqual(["text waits", "text gathered", "close 1013"]);
    });

    test("while reading is paused, the peer's answer is read after resume", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = () => connection.pause();
      receive(text("a"), text("b"), close(1000));
      connection.close(1001, "");
      connection.resume();
      expect(session.events).toEqual(["text a", "closing 1000"]);
      expect(stream.log).toEqual(["pause", "write", "end", "resume"]);
    });
  });

  describe("a protocol error (RFC 6455 §7.1.7)", () => {
    test("is reported to the session; after its close frame, the stream ends immediately", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.failed = (error) => connection.close(error.closeCode, error.closeText);
      receive(text("fine"), { opcode: 3 }, text("never"));
      receive(text("nor this"), close(1000));
      expect(session.log).toEqual(["received", "text fine", "failed 1002"]);
      expect(stream.sent[0]).toMatch(/^close 1002 ./);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test.each([
      [1002, { ...text("x"), mask: null }, {}],
      [1007, { opcode: OP.text, payload: Uint8Array.of(0xff) }, {}],
      [1008, { ...text("x"), fin: false, opcode: OP.text }, { maxFragments: 1 }],
      [1009, text("12345"), { maxMessageSize: 4 }],
      [1009, text("12345"), { maxFrameSize: 4 }],
    ] as const)("%i for %o", (code, frame, limits) => {
      const { stream, session, connection, receive } = makeWire(byteOps, limits);
      session.onEvent.failed = (error) => connection.close(error.closeCode, error.closeText);
      receive(frame, { opcode: OP.continuation });
      expect(session.events).toEqual([`failed ${code}`]);
      expect(stream.log.at(-1)).toBe("end");
    });

    test("after our close frame ends the stream, and is not reported to the session", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      connection.close(1000, "");
      receive({ opcode: 3 });
      expect(session.events).toEqual([]);
      expect(stream.log).toEqual(["write", "end"]);
      expect(stream.sent).toEqual(["close 1000"]);
    });

    test("has a message that fits into a close frame, whatever the limits are", () => {
      const { session, connection, receive } = makeWire(byteOps, { maxMessageSize: Number.MAX_SAFE_INTEGER - 1 });
      session.onEvent.failed = (error) => {
        expect(error.closeText.length).toBeLessThanOrEqual(123);
        connection.close(error.closeCode, error.closeText);
      };
      receive({ opcode: OP.binary, claims: 2n ** 62n });
      expect(session.events).toEqual(["failed 1009"]);
    });
  });
});
