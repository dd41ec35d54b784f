/** What is counted for observed sessions, and when their events are reported. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { binary, type ControlMessage, type DataMessage, ok, ping, pong, push, type Self, stop, text } from "websock-js";
import { PubSub } from "websock-js/pubsub";
import { DURATION_BOUNDS } from "../../src/session/observed/counts.ts";
import type { Transport, TransportEvents } from "../../src/transport.ts";
import { agree, TAKEOVER } from "../protocol/compression.ts";
import { cutAt, type Frame, frame, join, OP } from "../support/client-frames.ts";
import { deferred, nextTick } from "../support/promises.ts";
import { ObservedWorld } from "./observed-world.ts";

const echo = { init: () => ok(0), handleIn: (message: DataMessage, count: number) => push(message, count + 1) };

const closeFrame = (code: number, text = ""): { opcode: number; payload: Uint8Array } => ({
  opcode: OP.close,
  payload: join(new Uint8Array([code >> 8, code & 255]), new TextEncoder().encode(text)),
});

const none = { messages: 0, bytes: 0 };

describe("messages", () => {
  test("are counted by kind and direction, with the bytes of their payloads", () => {
    const world = new ObservedWorld(echo);
    world.receive(
      { opcode: OP.text, payload: "é€" },
      { opcode: OP.binary, payload: new Uint8Array(1000) },
      { opcode: OP.ping, payload: "abc" },
      { opcode: OP.pong, payload: "d" },
      { opcode: OP.text, payload: "x" },
    );
    expect(JSON.parse(JSON.stringify(world.counts.received))).toEqual({
      text: { messages: 2, bytes: 6 },
      binary: { messages: 1, bytes: 1000 },
      ping: { messages: 1, bytes: 3 },
      pong: { messages: 1, bytes: 1 },
      close: none,
      frames: 5,
      compressedBytes: 0,
    });
    expect(JSON.parse(JSON.stringify(world.counts.sent))).toEqual({
      text: { messages: 2, bytes: 6 },
      binary: { messages: 1, bytes: 1000 },
      ping: none,
      pong: { messages: 1, bytes: 3 },
      close: none,
      frames: 4,
      compressedBytes: 0,
    });
  });

  test("of several frames are one message", () => {
    const world = new ObservedWorld(echo);
    world.receive(
      { opcode: OP.text, payload: "a", fin: false },
      { opcode: OP.ping },
      { opcode: OP.continuation, payload: "b", fin: false },
      { opcode: OP.continuation, payload: "c" },
    );
    const { received, sent } = world.counts;
    expect(received.text).toEqual({ messages: 1, bytes: 3 });
    expect([received.frames, sent.frames]).toEqual([4, 2]);
  });

  test("that are pushed, published and sent as heartbeats are counted", async () => {
    const room = new PubSub().topic("room");
    let self!: Self;
    const world = new ObservedWorld(
      {
        init: (_: unknown, own: Self) => {
          self = own;
          room.subscribe(own);
          return push([text("hi"), binary(new Uint8Array(7))], 0);
        },
        handleIn: () => ok(0),
      },
      { options: { timeout: 10_000, heartbeat: 1000 } },
    );
    self.push([ping("12"), pong("345")]);
    room.publish([text("to all"), binary(new Uint8Array(3)), text("again")]);
    await nextTick();
    world.clock.advance(2000);
    const { sent } = world.counts;
    expect(sent.text).toEqual({ messages: 3, bytes: 2 + 6 + 5 });
    expect(sent.binary).toEqual({ messages: 2, bytes: 10 });
    expect(sent.ping).toEqual({ messages: 2, bytes: 2 + "websock heartbeat".length });
    expect(sent.pong).toEqual({ messages: 1, bytes: 3 });
    world.stream.tick();
    expect(sent.frames).toBe(world.stream.frames.length);
  });

  test.each([
    ["without", {}],
    ["with", TAKEOVER],
  ])("that are compressed show their size as transferred, %s context takeover", async (_, takeover) => {
    const room = new PubSub().topic("room");
    const world = new ObservedWorld(
      {
        init: (_: unknown, self: Self) => {
          room.subscribe(self);
          return ok(0);
        },
        handleIn: (message: DataMessage, count: number) => push(message, count),
      },
      { compression: agree(takeover) },
    );
    const payload = agree(takeover).compressor.compress("x".repeat(1000), 1000)!;
    world.receive({ opcode: OP.text, payload, rsv: 4 }, { opcode: OP.text, payload: "plain" });
    room.publish([text("x".repeat(1000)), text("y".repeat(500))]);
    await nextTick();
    world.stream.tick();
    const { received, sent } = world.counts;
    const { frames } = world.stream;
    const compressed = frames.filter(({ first }) => (first & 0x40) !== 0);
    expect(received.text).toEqual({ messages: 2, bytes: 1005 });
    expect(received.compressedBytes).toBe(payload.length);
    expect(sent.text).toEqual({ messages: 4, bytes: 2505 });
    expect(sent.frames).toBe(frames.length);
    expect(compressed.length).toBeGreaterThanOrEqual(3);
    expect(sent.compressedBytes).toBe(compressed.reduce((sum, { payload: { length } }) => sum + length, 0));
  });

  test("that are compressed in another thread are counted like others", async () => {
    const world = new ObservedWorld(echo, { compression: agree() });
    const large = "x".repeat(100_000);
    world.session.self.push(text(large));
    world.session.self.push(text("behind"));
    while (world.stream.frames.length < 2) {
      await nextTick();
      world.stream.tick();
    }
    const { sent } = world.counts;
    expect(sent.text).toEqual({ messages: 2, bytes: 100_006 });
    const compressed = world.stream.frames.filter(({ first }) => (first & 0x40) !== 0);
    expect(sent.compressedBytes).toBe(compressed.reduce((sum, { payload }) => sum + payload.length, 0));
  });

  /** A message of the client, and how often the handler sends it back. */
  const sentMessage = fc.record({
    opcode: fc.constantFrom("text", "binary", "ping", "pong"),
    size: fc.oneof(fc.nat(20), fc.nat(125), fc.nat(9000)),
    fragments: fc.integer({ min: 1, max: 4 }),
    answers: fc.nat(3),
    isAsync: fc.boolean(),
  });

  test("equal those of a model, whatever is received, in whichever chunks, by whichever handler", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(sentMessage, { maxLength: 30, size: "max" }),
        fc.array(fc.nat(), { maxLength: 10 }),
        fc.boolean(),
        fc.boolean(),
        async (messages, cuts, hasControl, settlesBetween) => {
          const toHandle: { answers: number; isAsync: boolean }[] = [];
          const answer = async <T>(result: T): Promise<T> => result;
          const world = new ObservedWorld({
            init: () => ok(0),
            handleIn: (message: DataMessage, count: number) => {
              const { answers, isAsync } = toHandle.shift()!;
              const result = push(Array<DataMessage>(answers).fill(message), count + 1);
              return isAsync ? answer(result) : result;
            },
            handleControl: hasControl ? (_: ControlMessage, count: number) => ok(count) : undefined,
          });
          const received = { text: { ...none }, binary: { ...none }, ping: { ...none }, pong: { ...none } };
          const sent = { text: { ...none }, binary: { ...none }, ping: { ...none }, pong: { ...none } };
          const add = (tally: typeof none, count: number, size: number): void => {
            tally.messages += count;
            tally.bytes += count * size;
          };
          const frames: Frame[] = [];
          for (const { opcode, size, fragments, answers, isAsync } of messages) {
            const isControl = opcode === "ping" || opcode === "pong";
            const length = isControl ? Math.min(size, 125) : size;
            add(received[opcode], 1, length);
            if (opcode === "ping") add(sent.pong, 1, length);
            if (!isControl) toHandle.push({ answers, isAsync });
            if (!isControl) add(sent[opcode], answers, length);
            const pieces = isControl ? 1 : fragments;
            for (let i = 0; i < pieces; i++) {
              const bytes = Math.floor((length * (i + 1)) / pieces) - Math.floor((length * i) / pieces);
              const payload = "a".repeat(bytes);
              frames.push({ opcode: i === 0 ? OP[opcode] : OP.continuation, payload, fin: i === pieces - 1 });
            }
          }
          for (const chunk of cutAt(join(...frames.map(frame)), cuts)) {
            world.receiveBytes(chunk);
            if (settlesBetween) await nextTick();
          }
          while (world.counts.waiting.messages > 0 || toHandle.length > 0) await nextTick();
          await nextTick();
          world.stream.tick();
          const { callbacks } = world.counts;
          expect(world.counts.received).toMatchObject(received);
          expect(world.counts.received.frames).toBe(frames.length);
          expect(world.counts.sent).toMatchObject(sent);
          expect(world.counts.sent.frames).toBe(world.stream.frames.length);
          const controls = hasControl ? received.ping.messages + received.pong.messages : 0;
          expect(callbacks.count).toBe(1 + received.text.messages + received.binary.messages + controls);
          expect(callbacks.durations.reduce((sum, count) => sum + count)).toBe(callbacks.count);
          expect(callbacks.durations.every((count) => count >= 0)).toBe(true);
        },
      ),
      { numRuns: 200 },
    ));

  test("are not counted once the end is decided, also where the host still passes them on", () => {
    let events!: TransportEvents;
    const transport: Transport = {
      buffered: 0,
      bytesFlushed: 0,
      open: (own) => {
        events = own;
      },
      send: () => undefined,
      close: () => undefined,
      abort: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
    };
    const world = new ObservedWorld(echo, { transport });
    events.onText("before", 6);
    world.session.self.stop("normal");
    events.onText("after", 5);
    events.onBinary(new Uint8Array(3));
    events.onControl({ opcode: "ping", data: new Uint8Array(2) });
    events.onClose(1000, "");
    events.onDisconnect();
    const { received, sent, callbacks } = world.counts;
    const counted = {
      text: { messages: 1, bytes: 6 },
      binary: none,
      ping: none,
      pong: none,
      close: { messages: 1, bytes: 2 },
    };
    expect(JSON.parse(JSON.stringify({ received, sent }))).toEqual({ received: counted, sent: counted });
    expect(callbacks.count).toBe(2);
  });
});

describe("callbacks", () => {
  test("that are slow are timed one by one, also in one chunk", () => {
    const durations = [3, 2, 20, 1];
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: (_: DataMessage, count: number) => {
        world.clock.advance(durations[count]!);
        return ok(count + 1);
      },
    });
    const message = { opcode: OP.text, payload: "x" };
    world.receive(message);
    world.receive(message, message, message);
    const { callbacks } = world.counts;
    expect([callbacks.count, callbacks.total, callbacks.longest]).toEqual([5, 26, 20]);
    expect(countsByBound(callbacks)).toEqual({ 0.1: 1, 1: 1, 2.5: 1, 5: 1, 25: 1 });
  });

  test("that take no time are timed in groups, and a slow one among them is found", () => {
    let reads = 0;
    const slowAt = 100;
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: (_: DataMessage, count: number) => {
        if (count === slowAt) world.clock.advance(40);
        return ok(count + 1);
      },
    });
    const { now } = world.clock;
    world.clock.now = () => {
      reads++;
      return now.call(world.clock);
    };
    world.receive(...Array.from({ length: 160 }, () => ({ opcode: OP.text, payload: "x" })));
    const { callbacks } = world.counts;
    expect([callbacks.count, callbacks.longest, callbacks.total]).toEqual([161, 40, 40]);
    expect(countsByBound(callbacks)).toEqual({ 0.1: 160, 50: 1 });
    expect(reads).toBeLessThan(10);
    // The next ones are timed one by one, until one is fast.
    world.receive(...Array.from({ length: 10 }, () => ({ opcode: OP.text, payload: "x" })));
    expect([callbacks.count, callbacks.longest, world.counts.callbacks.slow]).toEqual([171, 40, false]);
  });

  test.each([
    ["text", { opcode: OP.text, payload: "x".repeat(5_000) }],
    ["binary", { opcode: OP.binary, payload: new Uint8Array(5_000) }],
  ])("for a large %s message are timed", (_name, message) => {
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: (_: DataMessage, count: number) => {
        world.clock.advance(100);
        return ok(count + 1);
      },
    });
    world.receive({ opcode: OP.ping, payload: "" }, message);
    const { callbacks } = world.counts;
    expect([callbacks.count, callbacks.total, callbacks.longest]).toEqual([2, 100, 100]);
  });

  test("that return a promise are timed from the call, also in a chunk", async () => {
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: async (_: DataMessage, count: number) => {
        world.clock.advance(30);
        return ok(count + 1);
      },
    });
    world.receive({ opcode: OP.text, payload: "x" });
    await nextTick();
    const { callbacks } = world.counts;
    expect([callbacks.count, callbacks.total, callbacks.longest]).toEqual([2, 30, 30]);
  });

  test("that return the same promise each time are counted each time", async () => {
    const answer = Promise.resolve(ok(0));
    const world = new ObservedWorld({ init: () => answer, handleIn: () => answer });
    await nextTick();
    const message = { opcode: OP.text, payload: "x" };
    for (let chunks = 0; chunks < 2; chunks++) {
      world.receive(message, message, message);
      await nextTick();
    }
    expect(world.counts.callbacks.count).toBe(7);
  });

  test("are timed until their promise settles; a thenable is awaited once", async () => {
    let settle!: (result: unknown) => void;
    let thens = 0;
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: () => ({
        // biome-ignore lint/suspicious/noThenProperty: that is what is tested
        then: (resolve: (result: unknown) => void) => {
          thens++;
          settle = resolve;
        },
      }),
    });
    world.receive({ opcode: OP.text, payload: "x" });
    await nextTick();
    world.clock.advance(700);
    expect(world.counts.callbacks.count).toBe(1);
    settle(push(text("done"), 1));
    await nextTick();
    world.stream.tick();
    expect([thens, world.counts.callbacks.longest]).toEqual([1, 700]);
    expect(world.stream.sent).toEqual(["text done"]);
  });

  test("that fail are counted, those of terminate too", () => {
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: () => "no result",
      terminate: () => {
        throw new Error("late");
      },
    });
    world.receive({ opcode: OP.text, payload: "x" });
    expect(world.counts.callbacks).toMatchObject({ errors: 2, count: 3 });
    expect(world.errors).toHaveLength(2);
  });

  test("are passed to the tracer, with their names and opcodes, and in their order", () => {
    const handler = {
      ...echo,
      name: "echo",
      handleControl: (_: unknown, count: number) => ok(count),
      handleInfo: (_: unknown, count: number) => ok(count),
      terminate: () => undefined,
    };
    const world = new ObservedWorld(handler, { traced: true });
    world.receive({ opcode: OP.binary }, { opcode: OP.ping }, { opcode: OP.close });
    expect(world.calls.map(({ callback, opcode }) => [callback, opcode])).toEqual([
      ["init", undefined],
      ["handleIn", "binary"],
      ["handleControl", "ping"],
      ["terminate", undefined],
    ]);
    const { self } = world.session;
    expect(world.calls[0]).toMatchObject({ id: self.id, handler: "echo", path: "/", connection: self.connection });
  });
});

describe("what waits", () => {
  test("in the mailbox", async () => {
    const gate = deferred<void>();
    const world = new ObservedWorld({
      init: () => ok(0),
      handleIn: (_: DataMessage, count: number) => gate.promise.then(() => ok(count + 1)),
      handleInfo: (_: unknown, count: number) => ok(count),
    });
    world.receive(...Array.from({ length: 5 }, () => ({ opcode: OP.text, payload: "four" })));
    world.session.deliver("info");
    world.session.deliver("info");
    expect(world.counts.waiting).toEqual({ messages: 4, bytes: 16, infos: 2, buffered: 0 });
    gate.resolve();
    for (let i = 0; i < 20; i++) await nextTick();
    expect(world.counts.waiting).toEqual({ messages: 0, bytes: 0, infos: 0, buffered: 0 });
    expect(world.counts.most).toEqual({ messages: 4, bytes: 16, infos: 2, buffered: 0 });
  });

  test("for a client that does not read", () => {
    const world = new ObservedWorld(echo);
    world.stream.stalled = true;
    world.session.self.push(binary(new Uint8Array(10_000)));
    world.stream.tick();
    world.session.self.push(binary(new Uint8Array(5_000)));
    const bytes = 10_000 + 4 + 5_000 + 4;
    expect(world.counts.waiting.buffered).toBe(bytes);
    world.stream.stalled = false;
    world.stream.drain();
    expect([world.counts.waiting.buffered, world.counts.most.buffered]).toEqual([0, bytes]);
  });
});

describe("events", () => {
  test("of a connection that the client closes", () => {
    const world = new ObservedWorld({ ...echo, name: "echo" });
    expect(world.about).toMatchObject({ id: world.session.self.id, handler: "echo", path: "/" });
    expect(world.events).toEqual(["upgrade", "open"]);
    world.clock.advance(1500);
    world.receive(closeFrame(4000, "é"));
    expect(world.events).toHaveLength(2);
    world.disconnect();
    expect(world.events).toEqual(["upgrade", "open", "close"]);
    expect(world.end).toEqual({ reason: "remote", codeSent: 4000, duration: 1500 });
    expect(world.counts.received.close).toEqual({ messages: 1, bytes: 4 });
    expect(world.counts.sent.close).toEqual({ messages: 1, bytes: 2 });
  });

  test("of a connection that is lost, or aborted: no close frame was sent", () => {
    for (const end of ["lost", "aborted"] as const) {
      const world = new ObservedWorld(echo);
      if (end === "aborted") world.session.self.stop("normal", { abort: true });
      world.disconnect();
      world.session.runInContext(() => undefined, undefined);
      const { codeSent, reason } = world.end ?? {};
      if (end === "lost") expect(reason).toMatchObject({ error: { name: "ConnectionLost" } });
      expect([codeSent, world.counts.sent.close.messages]).toEqual([undefined, 0]);
    }
  });

  test("`close` waits for terminate, and its duration does not", async () => {
    const gate = deferred<void>();
    const world = new ObservedWorld({ ...echo, terminate: () => gate.promise });
    world.clock.advance(10);
    world.disconnect();
    world.clock.advance(100);
    expect(world.events).toEqual(["upgrade", "open"]);
    gate.resolve();
    await nextTick();
    expect(world.events).toEqual(["upgrade", "open", "close"]);
    expect(world.end?.duration).toBe(10);
    expect(world.counts.callbacks.longest).toBe(100);
  });

  test("`open` follows when init has returned, and never if it fails or stops", async () => {
    const gate = deferred<void>();
    const slow = new ObservedWorld({ ...echo, init: () => gate.promise.then(() => ok(0)) });
    slow.clock.advance(30);
    expect(slow.events).toEqual(["upgrade"]);
    gate.resolve();
    await nextTick();
    expect([slow.events, slow.openedAfter]).toEqual([["upgrade", "open"], 30]);
    for (const init of [() => stop("normal", 0), () => Promise.reject(new Error("no"))]) {
      const world = new ObservedWorld({ ...echo, init });
      await nextTick();
      world.disconnect();
      expect(world.events).toEqual(["upgrade", "close"]);
    }
  });

  test("of a connection that continues after hibernation", () => {
    const world = new ObservedWorld(echo, { resumed: true });
    expect([world.events, world.openedAfter]).toEqual([["open"], undefined]);
    world.receive({ opcode: OP.text, payload: "x" });
    expect(world.counts.received.text.messages).toBe(1);
  });

  test("are reported in the context of the upgrade", () => {
    let inside = 0;
    const contexts: number[] = [];
    const world = new ObservedWorld(echo, {
      asyncContext: {
        run: (task, target, a, b, c) => {
          inside++;
          task.call(target, a as never, b as never, c as never);
          inside--;
        },
      },
    });
    const { events } = world;
    events.push = (...names) => contexts.push(inside) && Array.prototype.push.apply(events, names);
    world.disconnect();
    expect([[...events], contexts]).toEqual([["upgrade", "open", "close"], [1]]);
  });
});

/** The callbacks by the upper bound of their bucket, without the empty buckets. */
const countsByBound = ({ durations }: { readonly durations: readonly number[] }): Record<string, number> =>
  Object.fromEntries(
    durations.flatMap((count, i) => (count === 0 ? [] : [[String(DURATION_BOUNDS[i] ?? "more"), count]])),
  );
