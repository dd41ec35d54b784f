import { describe, expect, test } from "vitest";
import { frame, join, OP } from "../support/client-frames.ts";
import { readInto, receiveBuffers } from "../support/receive-buffers.ts";
import { type FakeStream, makeWire } from "./fake-wire.ts";
import { allByteOps } from "./parsing.ts";

const text = (payload: string) => ({ opcode: OP.text, payload });
/** The payload of a short text frame. */
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes.subarray(2));
const ping = (payload: string) => ({ opcode: OP.ping, payload });
const close = (code?: number, reason = "") => ({
  opcode: OP.close,
  payload: code === undefined ? "" : join(Uint8Array.of(code >> 8, code & 0xff), new TextEncoder().encode(reason)),
});

describe.each(allByteOps)("Connection with $name", ({ byteOps }) => {
  describe("receiving", () => {
    test("reports activity to the session before the message", () => {
      const { session, connection } = makeWire(byteOps);
      const bytes = frame(text("hello"));
      connection.onBytes(bytes.slice(0, 4));
      expect(session.log).toEqual(["received"]);
      connection.onBytes(bytes.slice(4));
      expect(session.log).toEqual(["received", "received", "text hello"]);
    });

    test("reports a message's size in bytes", () => {
      const { session, receive } = makeWire(byteOps);
      const sizes: number[] = [];
      session.onEvent.message = (_message, size) => sizes.push(size);
      receive(
        text("€"),
        { opcode: OP.binary, payload: "abc" },
        { ...text("é"), fin: false },
        { opcode: 0, payload: "é" },
      );
      expect(sizes).toEqual([3, 3, 4]);
    });

    test.each(receiveBuffers)(
      "keeps what is read into a buffer ($name) while a callback runs the event loop",
      ({ buffer }) => {
        const { session, connection, receive } = makeWire(byteOps);
        session.onEvent.message = ({ data }) => {
          if (data !== "1") return;
          readInto({ buffer }, join(frame(text("3")), frame(text("4")), frame(text("5")).slice(0, 5)), (memory, size) =>
            connection.onReceived(memory, size),
          );
        };
        receive(text("1"), text("2"));
        connection.onBytes(frame(text("5")).slice(5));
        expect(session.events).toEqual(["text 1", "text 2", "text 3", "text 4", "text 5"]);
      },
    );

    test("reports that the stream is closed", () => {
      const { session, connection } = makeWire(byteOps);
      connection.onDisconnect();
      expect(session.log).toEqual(["disconnected"]);
    });
  });

  describe("pings", () => {
    test("are answered with the same payload before the session sees them", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.control = () => {
        session.log.push(`buffered ${connection.buffered}`);
      };
      receive(ping("are you there"));
      expect(session.events).toEqual(["ping are you there", "buffered 15"]);
      stream.tick();
      expect(stream.sent).toEqual(["pong are you there"]);
    });

    test("of 0 and 125 bytes are answered, in order with the messages that the session sends", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      session.onEvent.message = ({ data }) => send(`re: ${String(data)}`);
      receive(ping(""), text("a"), ping("x".repeat(125)), text("b"));
      stream.tick();
      expect(stream.sent).toEqual(
        ["pong", "re: a", `pong ${"x".repeat(125)}`, "re: b"].map((s) => s.replace(/^re/, "text re")),
      );
    });

    test("within a fragmented message are answered before it is complete", () => {
      const { stream, session, receive } = makeWire(byteOps);
      receive({ ...text("a"), fin: false }, ping("now"));
      stream.tick();
      expect(stream.sent).toEqual(["pong now"]);
      receive({ opcode: OP.continuation, payload: "b" });
      expect(session.events).toEqual(["ping now", "text ab"]);
    });

    test("pongs are not answered", () => {
      const { stream, session, receive } = makeWire(byteOps);
      receive({ opcode: OP.pong, payload: "x" });
      expect(session.events).toEqual(["pong x"]);
      expect(stream.log).toEqual([]);
    });
  });

  describe("writing", () => {
    test("batches the answers to the chunks of a tick into one write, and schedules it once", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      session.onEvent.message = ({ data }) => send(String(data));
      receive(...Array.from({ length: 100 }, (_, i) => text(`${i}`)));
      receive(text("100"));
      expect([stream.scheduledFlushes, stream.log]).toEqual([1, []]);
      stream.tick();
      expect(stream.log).toEqual(["write"]);
      expect(stream.sent).toEqual(Array.from({ length: 101 }, (_, i) => `text ${i}`));
    });

    test("batches everything that is sent in a tick outside of a chunk into one write, and schedules it once", () => {
      const { stream, send } = makeWire(byteOps);
      for (const data of ["a", "b", "c"]) send(data);
      expect([stream.scheduledFlushes, stream.log]).toEqual([1, []]);
      stream.tick();
      expect(stream.log).toEqual(["write"]);
      expect(stream.sent).toEqual(["text a", "text b", "text c"]);
      send("d");
      stream.tick();
      expect(stream.sent.at(-1)).toBe("text d");
    });

    test("writes the answers to a chunk immediately if the stream requests it, and other messages in a later tick", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      stream.flushesNow = true;
      session.onEvent.message = ({ data }) => send(`re: ${String(data)}`);
      receive(text("a"), text("b"));
      expect(stream.sent).toEqual(["text re: a", "text re: b"]);
      expect(stream.log).toEqual(["write"]);
      send("later");
      expect(stream.log).toEqual(["write"]);
      stream.tick();
      expect(stream.sent.at(-1)).toBe("text later");
      stream.stalled = true;
      receive(text("c"));
      receive(text("d"));
      expect(stream.sent.at(-1)).toBe("text re: c");
      stream.drain();
      expect(stream.sent.at(-1)).toBe("text re: d");
    });

    test("waits for another tick while the session expects answers", () => {
      const { stream, session, send } = makeWire(byteOps);
      const asked: number[] = [];
      session.onEvent.flushing = (waiting) => asked.push(waiting) < 3;
      for (const data of ["a", "b", "c"]) {
        expect(stream.log).toEqual([]);
        send(data);
        stream.tick();
      }
      expect([asked, stream.log]).toEqual([[3, 6, 9], ["write"]]);
      expect(stream.sent).toEqual(["text a", "text b", "text c"]);
      stream.tick();
      expect([asked.length, session.log]).toEqual([3, ["drained"]]);
    });

    test("does not wait for answers when the stream drains", () => {
      const { stream, session, send } = makeWire(byteOps);
      stream.stalled = true;
      send("a");
      stream.tick();
      send("b");
      stream.tick();
      session.onEvent.flushing = () => true;
      stream.stalled = false;
      stream.drain();
      expect(stream.sent).toEqual(["text a", "text b"]);
    });

    test("writes after 64 KiB, without waiting for the end of the tick", () => {
      const { stream, send } = makeWire(byteOps);
      for (let i = 0; i < 70; i++) send("x".repeat(1000));
      expect(stream.log).toEqual(["write"]);
      stream.tick();
      expect(stream.log).toEqual(["write", "write"]);
      expect(stream.frames.length).toBe(70);
    });

    test("counts the bytes in the writer and those that the stream has not flushed as buffered", () => {
      const { stream, connection, send } = makeWire(byteOps);
      stream.stalled = true;
      send("hello");
      expect([connection.buffered, connection.bytesFlushed]).toEqual([7, 0]);
      stream.tick();
      expect([connection.buffered, stream.buffered]).toEqual([7, 7]);
      send("more");
      expect([connection.buffered, stream.buffered]).toEqual([13, 7]);
      stream.drain();
      stream.drain();
      expect([connection.buffered, connection.bytesFlushed]).toEqual([0, 13]);
    });
  });

  describe("a stalled stream", () => {
    test("gets no write while bytes are buffered; new frames are collected, and written when it drains", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      stream.stalled = true;
      send("first");
      stream.tick();
      for (const data of ["a", "b", "c"]) {
        send(data);
        stream.tick();
        receive(ping(data));
      }
      expect(stream.log).toEqual(["write"]);
      stream.drain();
      expect(stream.log).toEqual(["write", "write"]);
      expect(stream.sent).toEqual(
        ["first", "a", "a", "b", "b", "c", "c"].map((data, i) => `${i > 0 && i % 2 === 0 ? "pong" : "text"} ${data}`),
      );
      expect(session.log).not.toContain("drained");
      stream.drain();
      expect(session.log.filter((entry) => entry === "drained")).toEqual(["drained"]);
    });

    test("that flushes the collected frames immediately is reported as drained", () => {
      const { stream, session, send } = makeWire(byteOps);
      stream.stalled = true;
      send("first");
      stream.tick();
      send("second");
      stream.stalled = false;
      expect(session.log).toEqual([]);
      stream.drain();
      expect(session.log).toEqual(["drained"]);
      expect(stream.sent).toEqual(["text first", "text second"]);
    });

    test("collects frames apart from other connections, in few parts", () => {
      const { stream, send } = makeWire(byteOps);
      stream.stalled = true;
      send("first");
      stream.tick();
      const parts: (readonly Uint8Array[])[] = [];
      const write = stream.write.bind(stream);
      stream.write = (these) => {
        parts.push(these);
        write(these);
      };
      const other = makeWire(byteOps);
      for (let i = 0; i < 100; i++) {
        send(`message ${i}`);
        other.send(`message ${i}`);
        stream.tick();
        other.stream.tick();
      }
      stream.drain();
      expect(parts.map((these) => these.length)).toEqual([1]);
      expect(stream.frames.length).toBe(101);
      // Once it is drained, it uses the shared slab again.
      stream.stalled = false;
      stream.drain();
      send("after");
      stream.tick();
      expect(parts.at(-1)![0]!.buffer).not.toBe(parts[0]![0]!.buffer);
    });

    /** Records the parts that a stream is given, and flushes each of them later. */
    const partsOf = (stream: FakeStream): Uint8Array[] => {
      const parts: Uint8Array[] = [];
      const write = stream.write.bind(stream);
      stream.write = (these) => {
        parts.push(...these);
        write(these);
      };
      stream.stalled = true;
      return parts;
    };

    test("reuses memory only after it was flushed", () => {
      const host = { ...byteOps };
      const { stream, send } = makeWire(host);
      const other = makeWire(host);
      const [parts, others] = [partsOf(stream), partsOf(other.stream)];
      for (let round = 0; round < 3; round++) {
        send("mine");
        stream.tick();
        other.send("theirs");
        other.stream.tick();
        expect([textOf(parts.at(-1)!), textOf(others.at(-1)!)]).toEqual(["mine", "theirs"]);
        stream.drain();
        other.stream.drain();
      }
      expect(new Set(parts.map(({ byteOffset }) => byteOffset)).size).toBe(1);
      expect(new Set(others.map(({ byteOffset }) => byteOffset)).size).toBe(1);
    });

    test("does not reuse memory if the stream never reports onFlushed", () => {
      const { stream, send } = makeWire({ ...byteOps });
      const parts = partsOf(stream);
      for (let round = 0; round < 3; round++) {
        send("mine");
        stream.tick();
        stream.buffered = 0;
        stream.events.onDrain();
      }
      expect(new Set(parts.map(({ byteOffset }) => byteOffset)).size).toBe(3);
    });

    test("keeps frames that were added before the stream reported onDrain", () => {
      const { stream, send } = makeWire(byteOps);
      const other = makeWire(byteOps);
      const [parts, others] = [partsOf(stream), partsOf(other.stream)];
      send("mine");
      stream.events.onFlushed();
      stream.events.onDrain();
      other.send("theirs");
      other.stream.tick();
      expect([textOf(parts[0]!), textOf(others[0]!)]).toEqual(["mine", "theirs"]);
    });
  });

  describe("drained", () => {
    test("is also reported after a large message that was flushed at once", () => {
      const { stream, session, send } = makeWire(byteOps);
      send("x".repeat(1_000_000));
      expect([stream.written.length, session.log]).toEqual([1, []]);
      stream.tick();
      expect(session.log).toEqual(["drained"]);
    });

    test("is reported when the write of a tick was flushed immediately", () => {
      const { stream, session, send } = makeWire(byteOps);
      send("x");
      stream.tick();
      expect(session.log).toEqual(["drained"]);
    });

    test("lets the session send more, in order", () => {
      const { stream, session, send } = makeWire(byteOps);
      stream.stalled = true;
      send("0");
      stream.tick();
      let next = 1;
      session.onEvent.drained = () => {
        if (next < 4) send(`${next++}`);
      };
      for (let i = 0; i < 6; i++) {
        stream.drain();
        stream.tick();
      }
      expect(stream.sent).toEqual(["text 0", "text 1", "text 2", "text 3"]);
    });
  });

  describe("pause and resume", () => {
    test("within a chunk hold back the rest of it", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = ({ data }) => {
        if (data === "b") connection.pause();
      };
      receive(text("a"), text("b"), text("c"), ping("p"));
      expect(session.events).toEqual(["text a", "text b"]);
      expect(stream.log).toEqual(["pause"]);
      // A chunk that the host delivers although it was paused waits, too.
      receive(text("d"));
      expect(session.events).toEqual(["text a", "text b"]);
      connection.resume();
      expect(session.events).toEqual(["text a", "text b", "text c", "ping p", "text d"]);
      expect(stream.log).toEqual(["pause", "resume"]);
      stream.tick();
      expect(stream.sent).toEqual(["pong p"]);
    });

    test("pings behind the message that caused a pause are answered once each, and reported in their turn", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = () => connection.pause();
      const long = "p".repeat(125);
      receive(text("a"), ping("1"), text("b".repeat(70_000)), ping(long), text("c"), ping("3"));
      stream.tick();
      expect(session.events).toEqual(["text a"]);
      expect(stream.sent).toEqual(["pong 1", `pong ${long}`, "pong 3"]);
      // Pings in a chunk that the host delivers although it was paused are answered, too.
      receive(ping("4"));
      stream.tick();
      expect(stream.sent.slice(3)).toEqual(["pong 4"]);
      session.onEvent.message = () => {};
      connection.resume();
      stream.tick();
      expect(session.events.slice(1)).toEqual([
        "ping 1",
        `text ${"b".repeat(70_000)}`,
        `ping ${long}`,
        "text c",
        "ping 3",
        "ping 4",
      ]);
      expect(stream.sent).toHaveLength(4);
    });

    test("pings behind an incomplete frame or a close frame are not answered ahead of it", () => {
      const { stream, session, connection } = makeWire(byteOps);
      session.onEvent.message = () => connection.pause();
      const cut = frame(text("cut off"));
      connection.onBytes(join(frame(text("a")), cut.slice(0, 9)));
      connection.onBytes(cut.slice(9, 11));
      stream.tick();
      expect(stream.sent).toEqual([]);
      connection.onBytes(join(cut.slice(11), frame(ping("1")), frame(close(1000)), frame(ping("2"))));
      stream.tick();
      expect(stream.sent).toEqual(["pong 1"]);
    });

    test("a resume that leads to another pause does not resume the stream", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = () => connection.pause();
      receive(text("a"), text("b"));
      connection.resume();
      expect(session.events).toEqual(["text a", "text b"]);
      expect(stream.log).toEqual(["pause", "pause"]);
      connection.resume();
      expect(stream.log).toEqual(["pause", "pause", "resume"]);
    });

    test("both within one event change nothing", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = ({ data }) => {
        if (data !== "a") return;
        connection.pause();
        connection.resume();
      };
      receive(text("a"), text("b"), text("c"));
      expect(session.events).toEqual(["text a", "text b", "text c"]);
      expect(stream.log).toEqual(["pause", "resume"]);
    });

    test("a resume from within an event delivers nothing before that event is handled", () => {
      const { session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = ({ data }) => {
        connection.pause();
        connection.resume();
        session.log.push(`handled ${String(data)}`);
      };
      receive(text("a"), text("b"));
      expect(session.events).toEqual(["text a", "handled a", "text b", "handled b"]);
    });

    test("a resume after the peer's close frame delivers nothing behind it", () => {
      const { session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = () => connection.pause();
      receive(text("a"), close(1000), text("never"));
      connection.resume();
      connection.resume();
      expect(session.events).toEqual(["text a", "closing 1000"]);
    });

    test("the answers to messages before a pause are written in the same tick", () => {
      const { stream, session, connection, send, receive } = makeWire(byteOps);
      session.onEvent.message = ({ data }) => {
        send(String(data));
        connection.pause();
      };
      receive(text("a"), text("b"));
      stream.tick();
      expect(stream.sent).toEqual(["text a"]);
    });

    test("a pause whose reason has ended by the end of the chunk is re-evaluated in a later tick", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.onEvent.message = () => connection.pause();
      session.onEvent.drained = () => connection.resume();
      receive(text("a"), text("b"), text("c"));
      expect(session.events).toEqual(["text a"]);
      stream.tick();
      expect(session.events).toEqual(["text a", "text b"]);
      stream.tick();
      stream.tick();
      expect(session.events).toEqual(["text a", "text b", "text c"]);
      expect(stream.log.at(-1)).toBe("resume");
    });

    test("in the middle of a fragmented message, and of a frame", () => {
      const { session, connection } = makeWire(byteOps);
      session.onEvent.control = () => connection.pause();
      const bytes = join(frame({ ...text("é"), fin: false }), frame(ping("p")), frame({ opcode: 0, payload: "€" }));
      connection.onBytes(bytes.slice(0, -1));
      connection.onBytes(bytes.slice(-1));
      expect(session.events).toEqual(["ping p"]);
      connection.resume();
      expect(session.events).toEqual(["ping p", "text é€"]);
    });
  });

  test("abort destroys the stream", () => {
    const { stream, connection } = makeWire(byteOps);
    connection.abort();
    expect(stream.log).toEqual(["destroy"]);
  });

  test("lets errors other than ProtocolError through, and can continue afterwards", () => {
    const { session, receive } = makeWire(byteOps);
    session.onEvent.message = () => {
      session.onEvent.message = () => {};
      throw new Error("a bug");
    };
    expect(() => receive(text("a"))).toThrow("a bug");
    receive(text("b"));
    expect(session.events).toEqual(["text a", "text b"]);
  });
});
