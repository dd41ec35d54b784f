import { describe, expect, test } from "vitest";
import { frame, join, OP } from "../support/client-frames.ts";
import { type FakeStream, makeWire } from "./fake-wire.ts";
import { allOctets } from "./parsing.ts";

const text = (payload: string) => ({ opcode: OP.text, payload });
/** What is in the one text frame that these octets are. */
const textOf = (octets: Uint8Array): string => new TextDecoder().decode(octets.subarray(2));
const ping = (payload: string) => ({ opcode: OP.ping, payload });
const close = (code?: number, reason = "") => ({
  opcode: OP.close,
  payload: code === undefined ? "" : join(Uint8Array.of(code >> 8, code & 0xff), new TextEncoder().encode(reason)),
});

describe.each(allOctets)("Connection with $name", ({ byteOps }) => {
  describe("receiving", () => {
    test("tells the session that something arrived, then what it is", () => {
      const { session, connection } = makeWire(byteOps);
      const bytes = frame(text("hello"));
      connection.onBytes(bytes.slice(0, 4));
      expect(session.log).toEqual(["received"]);
      connection.onBytes(bytes.slice(4));
      expect(session.log).toEqual(["received", "received", "text hello"]);
    });

    test("gives a message's size in octets", () => {
      const { session, receive } = makeWire(byteOps);
      const sizes: number[] = [];
      session.on.message = (_message, size) => sizes.push(size);
      receive(
        text("€"),
        { opcode: OP.binary, payload: "abc" },
        { ...text("é"), fin: false },
        { opcode: 0, payload: "é" },
      );
      expect(sizes).toEqual([3, 3, 4]);
    });

    test("says when the stream is gone", () => {
      const { session, connection } = makeWire(byteOps);
      connection.onDisconnect();
      expect(session.log).toEqual(["disconnected"]);
    });
  });

  describe("pings", () => {
    test("are answered with the same payload before the session sees them", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.control = () => {
        session.log.push(`buffered ${connection.buffered}`);
      };
      receive(ping("are you there"));
      expect(session.events).toEqual(["ping are you there", "buffered 15"]);
      stream.turn();
      expect(stream.sent).toEqual(["pong are you there"]);
    });

    test("are each answered, empty and of 125 octets, in order with what the session sends", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      session.on.message = ({ data }) => send(`re: ${String(data)}`);
      receive(ping(""), text("a"), ping("x".repeat(125)), text("b"));
      stream.turn();
      expect(stream.sent).toEqual(
        ["pong", "re: a", `pong ${"x".repeat(125)}`, "re: b"].map((s) => s.replace(/^re/, "text re")),
      );
    });

    test("within a fragmented message are answered before it is whole", () => {
      const { stream, session, receive } = makeWire(byteOps);
      receive({ ...text("a"), fin: false }, ping("now"));
      stream.turn();
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
    test("makes one write of all the answers to the chunks of a turn, and asks for it once", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      session.on.message = ({ data }) => send(String(data));
      receive(...Array.from({ length: 100 }, (_, i) => text(`${i}`)));
      receive(text("100"));
      expect([stream.flushesAsked, stream.log]).toEqual([1, []]);
      stream.turn();
      expect(stream.log).toEqual(["write"]);
      expect(stream.sent).toEqual(Array.from({ length: 101 }, (_, i) => `text ${i}`));
    });

    test("makes one write of all that is sent in one turn outside of a chunk, and asks for it once", () => {
      const { stream, send } = makeWire(byteOps);
      for (const data of ["a", "b", "c"]) send(data);
      expect([stream.flushesAsked, stream.log]).toEqual([1, []]);
      stream.turn();
      expect(stream.log).toEqual(["write"]);
      expect(stream.sent).toEqual(["text a", "text b", "text c"]);
      send("d");
      stream.turn();
      expect(stream.sent.at(-1)).toBe("text d");
    });

    test("writes the answers to a chunk at once where the stream asks for it, and the rest in a turn of its own", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      stream.atOnce = true;
      session.on.message = ({ data }) => send(`re: ${String(data)}`);
      receive(text("a"), text("b"));
      expect(stream.sent).toEqual(["text re: a", "text re: b"]);
      expect(stream.log).toEqual(["write"]);
      send("later");
      expect(stream.log).toEqual(["write"]);
      stream.turn();
      expect(stream.sent.at(-1)).toBe("text later");
      stream.stalled = true;
      receive(text("c"));
      receive(text("d"));
      expect(stream.sent.at(-1)).toBe("text re: c");
      stream.drain();
      expect(stream.sent.at(-1)).toBe("text re: d");
    });

    test("does not gather more than 64 KiB before it writes", () => {
      const { stream, send } = makeWire(byteOps);
      for (let i = 0; i < 70; i++) send("x".repeat(1000));
      expect(stream.log).toEqual(["write"]);
      stream.turn();
      expect(stream.log).toEqual(["write", "write"]);
      expect(stream.frames.length).toBe(70);
    });

    test("counts what it gathered and what the stream has not taken as buffered", () => {
      const { stream, connection, send } = makeWire(byteOps);
      stream.stalled = true;
      send("hello");
      expect([connection.buffered, connection.bytesFlushed]).toEqual([7, 0]);
      stream.turn();
      expect([connection.buffered, stream.buffered]).toEqual([7, 7]);
      send("more");
      expect([connection.buffered, stream.buffered]).toEqual([13, 7]);
      stream.drain();
      stream.drain();
      expect([connection.buffered, connection.bytesFlushed]).toEqual([0, 13]);
    });
  });

  describe("a stalled stream", () => {
    test("gets no write while octets wait; what is sent is gathered, and goes out when they are taken", () => {
      const { stream, session, send, receive } = makeWire(byteOps);
      stream.stalled = true;
      send("first");
      stream.turn();
      for (const data of ["a", "b", "c"]) {
        send(data);
        stream.turn();
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

    test("that takes at once what was gathered is reported drained", () => {
      const { stream, session, send } = makeWire(byteOps);
      stream.stalled = true;
      send("first");
      stream.turn();
      send("second");
      stream.stalled = false;
      expect(session.log).toEqual([]);
      stream.drain();
      expect(session.log).toEqual(["drained"]);
      expect(stream.sent).toEqual(["text first", "text second"]);
    });

    test("gathers apart from other connections, in few parts", () => {
      const { stream, send } = makeWire(byteOps);
      stream.stalled = true;
      send("first");
      stream.turn();
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
        stream.turn();
        other.stream.turn();
      }
      stream.drain();
      expect(parts.map((these) => these.length)).toEqual([1]);
      expect(stream.frames.length).toBe(101);
      // Once it is drained it shares again.
      stream.stalled = false;
      stream.drain();
      send("after");
      stream.turn();
      expect(parts.at(-1)![0]!.buffer).not.toBe(parts[0]![0]!.buffer);
    });

    /** The parts that a stream gets to write, which takes each of them later. */
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

    test("uses memory again that was taken later, and not before", () => {
      const host = { ...byteOps };
      const { stream, send } = makeWire(host);
      const other = makeWire(host);
      const [parts, others] = [partsOf(stream), partsOf(other.stream)];
      for (let round = 0; round < 3; round++) {
        send("mine");
        stream.turn();
        other.send("theirs");
        other.stream.turn();
        expect([textOf(parts.at(-1)!), textOf(others.at(-1)!)]).toEqual(["mine", "theirs"]);
        stream.drain();
        other.stream.drain();
      }
      expect(new Set(parts.map(({ byteOffset }) => byteOffset)).size).toBe(1);
      expect(new Set(others.map(({ byteOffset }) => byteOffset)).size).toBe(1);
    });

    test("does not use memory again where the stream does not tell that it may", () => {
      const { stream, send } = makeWire({ ...byteOps });
      const parts = partsOf(stream);
      for (let round = 0; round < 3; round++) {
        send("mine");
        stream.turn();
        stream.buffered = 0;
        stream.events.onDrain();
      }
      expect(new Set(parts.map(({ byteOffset }) => byteOffset)).size).toBe(3);
    });

    test("keeps what was added before the stream told that all is taken", () => {
      const { stream, send } = makeWire(byteOps);
      const other = makeWire(byteOps);
      const [parts, others] = [partsOf(stream), partsOf(other.stream)];
      send("mine");
      stream.events.onFlushed();
      stream.events.onDrain();
      other.send("theirs");
      other.stream.turn();
      expect([textOf(parts[0]!), textOf(others[0]!)]).toEqual(["mine", "theirs"]);
    });
  });

  describe("drained", () => {
    test("is told when a turn's write was taken at once", () => {
      const { stream, session, send } = makeWire(byteOps);
      send("x");
      stream.turn();
      expect(session.log).toEqual(["drained"]);
    });

    test("lets the session send on, in the order in which it does", () => {
      const { stream, session, send } = makeWire(byteOps);
      stream.stalled = true;
      send("0");
      stream.turn();
      let next = 1;
      session.on.drained = () => {
        if (next < 4) send(`${next++}`);
      };
      for (let i = 0; i < 6; i++) {
        stream.drain();
        stream.turn();
      }
      expect(stream.sent).toEqual(["text 0", "text 1", "text 2", "text 3"]);
    });
  });

  describe("pause and resume", () => {
    test("in the middle of a chunk hold back the rest of it", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = ({ data }) => {
        if (data === "b") connection.pause();
      };
      receive(text("a"), text("b"), text("c"), ping("p"));
      expect(session.events).toEqual(["text a", "text b"]);
      expect(stream.log).toEqual(["pause"]);
      // What a host delivers although it was paused waits too.
      receive(text("d"));
      expect(session.events).toEqual(["text a", "text b"]);
      connection.resume();
      expect(session.events).toEqual(["text a", "text b", "text c", "ping p", "text d"]);
      expect(stream.log).toEqual(["pause", "resume"]);
      stream.turn();
      expect(stream.sent).toEqual(["pong p"]);
    });

    test("pings behind the message that led to a pause are answered, each of them once, and reported in their turn", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = () => connection.pause();
      const long = "p".repeat(125);
      receive(text("a"), ping("1"), text("b".repeat(70_000)), ping(long), text("c"), ping("3"));
      stream.turn();
      expect(session.events).toEqual(["text a"]);
      expect(stream.sent).toEqual(["pong 1", `pong ${long}`, "pong 3"]);
      // What a host delivers although it was paused is looked through as well.
      receive(ping("4"));
      stream.turn();
      expect(stream.sent.slice(3)).toEqual(["pong 4"]);
      session.on.message = () => {};
      connection.resume();
      stream.turn();
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

    test("pings behind a frame that is not whole, or behind a close frame, are not answered before it", () => {
      const { stream, session, connection } = makeWire(byteOps);
      session.on.message = () => connection.pause();
      const cut = frame(text("cut off"));
      connection.onBytes(join(frame(text("a")), cut.slice(0, 9)));
      connection.onBytes(cut.slice(9, 11));
      stream.turn();
      expect(stream.sent).toEqual([]);
      connection.onBytes(join(cut.slice(11), frame(ping("1")), frame(close(1000)), frame(ping("2"))));
      stream.turn();
      expect(stream.sent).toEqual(["pong 1"]);
    });

    test("a resume that ends in a pause again does not let the host read", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = () => connection.pause();
      receive(text("a"), text("b"));
      connection.resume();
      expect(session.events).toEqual(["text a", "text b"]);
      expect(stream.log).toEqual(["pause", "pause"]);
      connection.resume();
      expect(stream.log).toEqual(["pause", "pause", "resume"]);
    });

    test("both within one event change nothing", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = ({ data }) => {
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
      session.on.message = ({ data }) => {
        connection.pause();
        connection.resume();
        session.log.push(`handled ${String(data)}`);
      };
      receive(text("a"), text("b"));
      expect(session.events).toEqual(["text a", "handled a", "text b", "handled b"]);
    });

    test("a resume after the peer's close frame delivers nothing that came behind it", () => {
      const { session, connection, receive } = makeWire(byteOps);
      session.on.message = () => connection.pause();
      receive(text("a"), close(1000), text("never"));
      connection.resume();
      connection.resume();
      expect(session.events).toEqual(["text a", "closing 1000"]);
    });

    test("the answers to what was parsed before a pause go out with the turn", () => {
      const { stream, session, connection, send, receive } = makeWire(byteOps);
      session.on.message = ({ data }) => {
        send(String(data));
        connection.pause();
      };
      receive(text("a"), text("b"));
      stream.turn();
      expect(stream.sent).toEqual(["text a"]);
    });

    test("a pause whose reason has gone by the end of the chunk is looked at again in a later turn", () => {
      const { stream, session, connection, receive } = makeWire(byteOps);
      session.on.message = () => connection.pause();
      session.on.drained = () => connection.resume();
      receive(text("a"), text("b"), text("c"));
      expect(session.events).toEqual(["text a"]);
      stream.turn();
      expect(session.events).toEqual(["text a", "text b"]);
      stream.turn();
      stream.turn();
      expect(session.events).toEqual(["text a", "text b", "text c"]);
      expect(stream.log.at(-1)).toBe("resume");
    });

    test("in the middle of a fragmented message, and of a frame", () => {
      const { session, connection } = makeWire(byteOps);
      session.on.control = () => connection.pause();
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

  test("lets an error that is no ProtocolError through, and can go on", () => {
    const { session, receive } = makeWire(byteOps);
    session.on.message = () => {
      session.on.message = () => {};
      throw new Error("a bug");
    };
    expect(() => receive(text("a"))).toThrow("a bug");
    receive(text("b"));
    expect(session.events).toEqual(["text a", "text b"]);
  });
});
