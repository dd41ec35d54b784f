/** Cases: one callback at a time, in the order of arrival; immediate answers to pings; heartbeats; backpressure. */
import { type ConformanceCase, type Connected, equal, eventually } from "./host.ts";
import type { Step } from "./script.ts";

const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));

const slowEcho: Step = { async: "turn", echo: true };

/** Checks that the connection is open and the client has received nothing but pings. */
const expectListening = async (connected: Connected): Promise<void> => {
  const { client } = connected;
  const { calls, reason } = await connected.report();
  equal([calls.length, reason], [1, undefined], "the calls, and terminate");
  client.send("text", "still there");
  equal(await client.next(), ["text", "still there"], "the client got");
  client.close(1000);
};

export const order: readonly ConformanceCase[] = [
  {
    name: "a flood to a synchronous handler comes back in order",
    run: async (host) => {
      const { client, report } = await host.connect({ script: { handleIn: [{ echo: true }] } });
      const sent = numbers(5_000);
      for (const data of sent) client.send("text", data);
      for (const data of sent) equal(await client.next(), ["text", data], "the client got");
      equal((await report()).concurrent, 1, "callbacks at once");
      client.close(1000);
    },
  },
  {
    name: "a flood to an asynchronous handler comes back in order, one callback at a time",
    run: async (host) => {
      const { client, report } = await host.connect({ script: { handleIn: [slowEcho] } });
      const sent = numbers(3_000);
      for (const data of sent) client.send("text", data);
      for (const data of sent) equal(await client.next(), ["text", data], "the client got");
      equal((await report()).concurrent, 1, "callbacks at once");
      client.close(1000);
    },
  },
  {
    name: "messages that arrive while init is pending wait for it",
    run: async (host) => {
      const { client, report, openGate } = await host.connect({
        script: {
          init: [{ async: "gate", return: ["push", { opcode: "text", data: "first" }, "S"] }],
          handleIn: [{ echo: true }],
        },
      });
      client.send("text", "second");
      await openGate();
      equal(await client.next(), ["text", "first"], "the client got");
      equal(await client.next(), ["text", "second"], "the client got");
      equal((await report()).concurrent, 1, "callbacks at once");
      client.close(1000);
    },
  },
  {
    name: "two messages of 40 KB to a handler that is busy are handled later",
    run: async (host) => {
      const { client, openGate } = await host.connect({ script: { handleIn: [{ async: "gate", echo: true }] } });
      const sent = ["a", "b"].map((letter) => letter.repeat(40_000));
      for (const data of sent) client.send("text", data);
      await openGate();
      for (const data of sent) equal(await client.next(), ["text", data], "the client got");
      client.close(1000);
    },
  },
  {
    name: "infos are handled in the order in which they were sent, never within the callback of the sender",
    run: async (host) => {
      const connected = await host.connect({
        script: { handleIn: [{ infos: ["a", "b"] }], handleInfo: [{ infos: ["c"], async: "turn" }, { async: "turn" }] },
      });
      connected.client.send("text", "go");
      await eventually(connected, ({ calls }) => calls.length === 5);
      const { calls, concurrent } = await connected.report();
      equal(calls.slice(1), ["handleIn text:go ", "handleInfo a ", "handleInfo b ", "handleInfo c "], "the calls");
      equal(concurrent, 1, "callbacks at once");
      connected.client.close(1000);
    },
  },
  {
    name: "a handler that sends itself an info in every callback still receives messages",
    run: async (host) => {
      const connected = await host.connect({
        script: { init: [{ infos: ["again"] }], handleInfo: [{ infos: ["again"] }], handleIn: [{ echo: true }] },
      });
      for (const data of numbers(50)) {
        connected.client.send("text", data);
        equal(await connected.client.next(), ["text", data], "the client got");
      }
      connected.client.close(1000);
      await connected.terminated();
    },
  },
  {
    name: "a ping is answered while a callback is pending, and handled in order",
    needs: ["control"],
    run: async (host) => {
      const connected = await host.connect({ script: { handleIn: [{ async: "gate", echo: true }] } });
      const { client } = connected;
      client.send("text", "1");
      client.send("ping", "p");
      equal(await client.next(), ["pong", "p"], "the client got");
      await connected.openGate();
      equal(await client.next(), ["text", "1"], "the client got");
      await eventually(connected, ({ calls }) => calls.length === 3);
      equal((await connected.report()).calls.slice(1), ["handleIn text:1 ", "handleControl ping:<112> "], "the calls");
      client.close(1000);
    },
  },
  {
    name: "a host that hides pings: they are answered, and handleControl does not receive them",
    lacks: ["control"],
    run: async (host) => {
      const { client, report } = await host.connect({ script: { handleIn: [{ echo: true }] } });
      client.send("ping", "p");
      equal(await client.next(), ["pong", "p"], "the client got");
      client.send("pong", "p");
      client.send("text", "1");
      equal(await client.next(), ["text", "1"], "the client got");
      equal((await report()).calls.slice(1), ["handleIn text:1 "], "the calls");
      client.close(1000);
    },
  },
  {
    name: "a client that answers heartbeats stays connected, and handleControl does not receive the pongs",
    needs: ["control", "advance"],
    run: async (host) => {
      const options = { heartbeat: 1_000, timeout: 2_500 };
      const connected = await host.connect({ script: { handleIn: [{ echo: true }] }, options });
      const { client } = connected;
      for (const data of ["1", "2", "3"]) {
        await host.advance!(1_000);
        // The pong that answers the heartbeat arrives before this message.
        client.send("text", data);
        equal(await client.next(), ["text", data], "the client got");
      }
      client.send("pong", "mine");
      await eventually(connected, ({ calls }) => calls.some((call) => call.startsWith("handleControl")));
      const { calls } = await connected.report();
      equal(
        calls.filter((call) => call.startsWith("handleControl")),
        ["handleControl pong:<109 105 110 101> "],
        "the pongs seen",
      );
      client.close(1000);
    },
  },
  {
    name: "a client that only listens stays connected beyond timeout",
    needs: ["idleClock", "control", "advance"],
    run: async (host) => {
      const options = { heartbeat: 1_000, timeout: 2_500 };
      const connected = await host.connect({ script: { handleIn: [{ echo: true }] }, options });
      for (let pings = 1; pings <= 6; pings++) {
        await host.advance!(1_000);
        await eventually(connected, () => connected.client.pings === pings);
        // The pong is in flight. It has arrived after one event-loop tick of the server.
        let ticks = 0;
        await eventually(connected, () => ++ticks > 3);
      }
      await expectListening(connected);
    },
  },
  {
    name: "a host that detects idle clients by itself: a client that only listens stays connected beyond timeout",
    lacks: ["idleClock"],
    honours: ["timeout"],
    run: async (host) => {
      // In real time. The host sends a ping after half of it, which a client on a busy machine must answer in the other
      // half.
      const options = { timeout: 1_500 };
      const connected = await host.connect({ script: { handleIn: [{ echo: true }] }, options });
      await eventually(connected, ({ reason }) => connected.client.pings >= 3 || reason !== undefined);
      await expectListening(connected);
    },
  },
  {
    name: "a client that does not read is held back, and loses nothing",
    needs: ["pause", "drain"],
    run: async (host) => {
      const { client, report } = await host.connect({ script: { handleIn: [{ echo: true }] } });
      const block = "x".repeat(65_536);
      const count = 400;
      client.setReading(false);
      for (let i = 0; i < count; i++) client.send("text", `${i} ${block}`);
      client.setReading(true);
      for (let i = 0; i < count; i++) {
        const [opcode, data] = (await client.next()) as [string, string];
        equal([opcode, data.slice(0, data.indexOf(" "))], ["text", String(i)], "the client got");
      }
      equal((await report()).reason, undefined, "terminate");
      client.close(1000);
    },
  },
  {
    name: "a host that cannot pause: a client that is too fast for the handler receives 1008",
    lacks: ["pause"],
    run: async (host) => {
      const connected = await host.connect({
        script: { handleIn: [{ async: "gate" }] },
        options: { maxMessageSize: 65_536 },
      });
      const { client } = connected;
      const block = "x".repeat(65_536);
      for (let i = 0; i < 20; i++) client.send("text", block);
      const [opcode, code] = await client.next();
      equal([opcode, code], ["close", 1008], "the client got");
      await connected.openGate();
      await connected.terminated();
      equal((await connected.report()).reason, "error ProtocolError 1008", "terminate got");
    },
  },
  {
    name: "a client that never reads what is pushed: 1013 and SlowConsumer",
    needs: ["drain"],
    run: async (host) => {
      const connected = await host.connect({
        script: { handleIn: [{ blocks: 40 }] },
        options: { closeTimeout: 1_000 },
      });
      connected.client.setReading(false);
      connected.client.send("text", "go");
      await eventually(
        connected,
        ({ reason }) => reason !== undefined,
        () => host.advance?.(250),
      );
      equal((await connected.report()).reason, "error SlowConsumer", "terminate got");
      connected.client.drop();
    },
  },
];
