import { describe, expect, test } from "vitest";
import { join, OP } from "../support/client-frames.ts";
import { makeWire } from "./fake-wire.ts";
import { allOctets } from "./parsing.ts";

const text = (payload: string) => ({ opcode: OP.text, payload });
const ping = (payload: string) => ({ opcode: OP.ping, payload });
const close = (code?: number, reason = "") => ({
  opcode: OP.close,
  payload: code === undefined ? "" : join(Uint8Array.of(code >> 8, code & 0xff), new TextEncoder().encode(reason)),
});

describe.each(allOctets)("Connection with $name", ({ byteOps }) => {
  describe("the closing handshake (RFC 6455 §7)", () => {
    test("begun by the peer: the session answers, then our direction ends", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.closing = (code) => connection.close(code, "");
      receive(close(4001, "bye"));
      expect(session.events).toEqual(["closing 4001 bye"]);
      expect(stream.sent).toEqual(["close 4001"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("begun by the peer with an empty frame is answered with an empty one", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.closing = (code, reason) => connection.close(code, reason);
      receive(close());
      expect(session.events).toEqual(["closing undefined"]);
      expect(stream.sent).toEqual(["close"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("begun by the peer may be answered later, and messages go before it", () => {
      const { stream, connection, send, receive } = makeWire(byteOps);
      receive(text("a"), close(1000));
      expect(stream.log).toEqual([]);
      send("late answer");
      connection.close(1000, "");
      expect(stream.sent).toEqual(["text late answer", "close 1000"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("begun by us: the stream ends when the peer has answered", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      connection.close(1001, "going");
      expect(stream.sent).toEqual(["close 1001 going"]);
      expect(stream.log).toEqual(["write"]);
      receive(close(1001));
      expect(stream.log).toEqual(["write", "end"]);
      // The session has decided the end already: this is only what it tells of the peer.
      expect(session.events).toEqual(["closing 1001"]);
    });

    test("begun by both at once ends once", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = () => connection.close(1000, "");
      receive(text("stop"), close(1001));
      expect(stream.sent).toEqual(["close 1000"]);
      expect(stream.log).toEqual(["write", "end"]);
      expect(session.events).toEqual(["text stop", "closing 1001"]);
    });

    test("goes out behind all that was sent before it, and nothing after it", () => {
      const { stream, connection, send } = makeWire(byteOps);
      send("before");
      connection.close(1000, "");
      send("after");
      connection.close(1011, "again");
      stream.turn();
      expect(stream.sent).toEqual(["text before", "close 1000"]);
    });

    test("after our close frame, what the peer sends counts for nothing but its own", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      connection.close(1000, "");
      receive(text("ignored"), ping("not answered"), { ...text("x"), fin: false }, { opcode: 0, payload: "y" });
      expect(session.events).toEqual([]);
      expect(stream.sent).toEqual(["close 1000"]);
      receive(close());
      expect(stream.log.at(-1)).toBe("end");
    });

    test("after the peer's close frame, everything is ignored, in the same chunk and later, whatever it is", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.closing = (code) => connection.close(code, "");
      receive(close(1000), text("after"), close(1001), { opcode: 3 });
      connection.onBytes(new Uint8Array(1000).fill(0xff));
      expect(session.log).toEqual(["received", "closing 1000"]);
      expect(stream.sent).toEqual(["close 1000"]);
      expect(stream.log).toEqual(["write", "end"]);
    });

    test("while the stream is stalled: the close frame is written behind what waits", () => {
      const { stream, connection, send } = makeWire(byteOps);
      stream.stalled = true;
      send("waits");
      stream.turn();
      send("gathered");
      connection.close(1013, "");
      expect(stream.sent).toEqual(["text waits", "text gathered", "close 1013"]);
    });

    test("while reading is paused: the peer's answer is seen once it is resumed", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = () => connection.pause();
      receive(text("a"), text("b"), close(1000));
      connection.close(1001, "");
      connection.resume();
      expect(session.events).toEqual(["text a", "closing 1000"]);
      expect(stream.log).toEqual(["pause", "write", "end", "resume"]);
    });
  });

  describe("a protocol error (RFC 6455 §7.1.7)", () => {
    test("is told to the session, whose close frame is followed by the end at once", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.failed = (error) => connection.close(error.code, error.message);
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
      session.on.failed = (error) => connection.close(error.code, error.message);
      receive(frame, { opcode: OP.continuation });
      expect(session.events).toEqual([`failed ${code}`]);
      expect(stream.log.at(-1)).toBe("end");
    });

    test("after our close frame ends the stream, and the session hears nothing of it", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      connection.close(1000, "");
      receive({ opcode: 3 });
      expect(session.events).toEqual([]);
      expect(stream.log).toEqual(["write", "end"]);
      expect(stream.sent).toEqual(["close 1000"]);
    });

    test("has a text that fits into a close frame, whatever the limits are", () => {
      const { session, connection, receive } = makeWire(byteOps, { maxMessageSize: Number.MAX_SAFE_INTEGER - 1 });
      session.on.failed = (error) => {
        expect(error.message.length).toBeLessThanOrEqual(123);
        connection.close(error.code, error.message);
      };
      receive({ opcode: OP.binary, claims: 2n ** 62n });
      expect(session.events).toEqual(["failed 1009"]);
    });
  });
});
