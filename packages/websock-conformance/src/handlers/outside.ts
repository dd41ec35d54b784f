/** Cases: `self.push`, `self.stop` and `self.drained`, within callbacks and from outside. */
import { expectEnd, open } from "./endings.ts";
import { type ConformanceCase, type ConformanceHost, type Connected, equal, eventually } from "./host.ts";
import type { Action, Step } from "./script.ts";

const text = (data: string) => ({ opcode: "text", data }) as const;
const push = (...messages: readonly unknown[]): Action => ({ do: "push", messages });
const stop = (reason: unknown, detail?: object): Action => ({ do: "stop", reason, ...(detail && { detail }) });

const gated: Step = { async: "gate", echo: true };

/** Sends messages to a handler whose callback for the first message is pending. */
const keepBusy = async (connected: Connected, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) connected.client.send("text", String(i));
  await eventually(connected, ({ calls }) => calls.length === 2);
};

/** A client that does not read, and for whom more than the outbound high-water mark is buffered. */
const openWithBacklog = async (host: ConformanceHost): Promise<Connected> => {
  const connected = await open(host, { script: { handleIn: [{ blocks: 8 }] } });
  connected.client.setReading(false);
  connected.client.send("text", "go");
  await eventually(connected, ({ calls }) => calls.length === 2);
  return connected;
};

const stops: readonly ConformanceCase[] = (
  [
    ["normal", undefined, ["close", 1000, ""], "normal"],
    ["disconnected", undefined, ["close", 1000, ""], "normal"],
    ["restart", undefined, ["close", 1012, ""], "normal"],
    ["kicked", undefined, ["close", 1011, ""], "error kicked"],
    ["kicked", { code: 4003, text: "be nice" }, ["close", 4003, "be nice"], "error kicked"],
  ] as const
).map(([reason, detail, close, terminated]) => ({
  name: `self.stop from outside: ${JSON.stringify([reason, detail])}`,
  needs: ["crossConnection"],
  run: async (host) => {
    const connected = await open(host, { script: {} });
    equal(await connected.act(stop(reason, detail)), "true", "self.stop");
    equal(await connected.act(stop("normal")), "false", "a second self.stop");
    equal(await connected.act(push(text("late"))), "false", "self.push after it");
    equal(await connected.act({ do: "drained" }), "false", "self.drained after it");
    equal(await connected.client.next(), close, "the client got");
    await expectEnd(connected, terminated, []);
  },
}));

export const outside: readonly ConformanceCase[] = [
  ...stops,
  {
    name: "self.push from outside is sent before the result of the pending callback",
    needs: ["crossConnection"],
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [gated] } });
      await keepBusy(connected, 1);
      equal(await connected.act(push(text("a"), text("b"))), "true", "self.push");
      for (const data of ["a", "b"]) equal(await connected.client.next(), ["text", data], "the client got");
      await connected.openGate();
      equal(await connected.client.next(), ["text", "0"], "the client got");
      connected.client.close(1000);
    },
  },
  {
    name: "self.push within callbacks, including init, is sent before their results",
    run: async (host) => {
      const init: Step = { acts: [push(text("1"))], return: ["push", text("2"), "S"] };
      const handleIn: Step = { acts: [push(text("3")), push()], return: ["push", text("4"), "S"] };
      const { client, report } = await host.connect({ script: { init: [init], handleIn: [handleIn] } });
      client.send("text", "go");
      for (const data of ["1", "2", "3", "4"]) equal(await client.next(), ["text", data], "the client got");
      equal((await report()).acted, ["true", "true", "true"], "self.push");
      client.close(1000);
    },
  },
  {
    name: "self.push of an invalid message throws, sends nothing, and the connection stays open",
    run: async (host) => {
      const tooLong = { opcode: "ping", data: "x".repeat(126) };
      const acts = [push(text("not this"), tooLong), push({ opcode: "nonsense" }), push(text("this"))];
      const { client, report } = await host.connect({ script: { handleIn: [{ acts }, { echo: true }] } });
      client.send("text", "1");
      client.send("text", "2");
      for (const data of ["this", "2"]) equal(await client.next(), ["text", data], "the client got");
      equal((await report()).acted, ["RangeError", "TypeError", "true"], "self.push");
      client.close(1000);
    },
  },
  {
    name: "self.stop with an invalid code, text or message throws, and the connection stays open",
    run: async (host) => {
      const acts = [
        stop("normal", { code: 1005 }),
        stop("normal", { text: "x".repeat(124) }),
        stop("normal", { messages: [{ opcode: "ping", data: "x".repeat(126) }] }),
        stop("normal", { reason: "no such detail" }),
      ];
      const { client, report } = await host.connect({ script: { handleIn: [{ acts }, { echo: true }] } });
      client.send("text", "1");
      client.send("text", "2");
      equal(await client.next(), ["text", "2"], "the client got");
      equal((await report()).acted, ["RangeError", "RangeError", "RangeError", "TypeError"], "self.stop");
      client.close(1000);
    },
  },
  {
    name: "self.stop from outside sends its messages, awaits no callback, and drops queued messages and the pending result",
    needs: ["crossConnection"],
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [gated] } });
      await keepBusy(connected, 300);
      equal(await connected.act(stop("kicked", { messages: text("bye") })), "true", "self.stop");
      equal(await connected.client.next(), ["text", "bye"], "the client got");
      equal(await connected.client.next(), ["close", 1011, ""], "the client got");
      equal((await connected.report()).reason, undefined, "terminate, while the callback is pending");
      await connected.openGate();
      await expectEnd(connected, "error kicked", ["handleIn text:0 S"]);
    },
  },
  {
    name: "self.stop from outside while a callback is pending that rejects later",
    needs: ["crossConnection"],
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [{ async: "gate", throw: "late" }] } });
      await keepBusy(connected, 2);
      await connected.act(stop("normal"));
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await connected.openGate();
      await expectEnd(connected, "normal", ["handleIn text:0 S"]);
    },
  },
  {
    name: "self.stop from outside while a callback is pending that never settles",
    needs: ["crossConnection"],
    run: async (host) => {
      const options = { closeTimeout: 1_000 };
      const connected = await open(host, { script: { handleIn: [{ async: "never" }] }, options });
      await keepBusy(connected, 2);
      await connected.act(stop("normal"));
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await eventually(
        connected,
        ({ reason }) => reason !== undefined,
        () => host.advance?.(250),
      );
      await expectEnd(connected, "normal", ["handleIn text:0 S"]);
      equal((await connected.report()).calls.at(-1), "terminate normal S", "the last call");
    },
  },
  {
    name: "self.stop within a callback: the messages of its result are dropped, its state is not",
    run: async (host) => {
      const step: Step = { acts: [stop("first")], return: ["stop", "second", 4000, text("late"), "last"] };
      const connected = await open(host, { script: { handleIn: [step] } });
      connected.client.send("text", "1");
      connected.client.send("text", "2");
      equal(await connected.client.next(), ["close", 1011, ""], "the client got");
      await expectEnd(connected, "error first", ["handleIn text:1 S"]);
      equal((await connected.report()).calls.at(-1), "terminate error first last", "the last call");
    },
  },
  {
    name: "self.stop in a pending init that returns: terminate runs",
    needs: ["crossConnection"],
    run: async (host) => {
      const connected = await host.connect({ script: { init: [{ async: "gate", return: ["ok", "S"] }] } });
      await eventually(connected, ({ calls }) => calls.length === 1);
      await connected.act(stop("normal"));
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await connected.openGate();
      await expectEnd(connected, "normal", []);
      equal((await connected.report()).calls.at(-1), "terminate normal S", "the last call");
    },
  },
  {
    name: "self.stop in an init that then fails: terminate does not run",
    run: async (host) => {
      const { client, report } = await host.connect({ script: { init: [{ acts: [stop("normal")], throw: "no" }] } });
      equal(await client.next(), ["close", 1000, ""], "the client got");
      equal((await report()).calls, ["init  "], "the calls");
    },
  },
  {
    name: "self.stop with abort destroys the connection",
    needs: ["abort"],
    run: async (host) => {
      const connected = await open(host, { script: {} });
      equal(await connected.act(stop("kicked", { abort: true })), "true", "self.stop");
      equal(await connected.client.next(), ["lost"], "the client got");
      await expectEnd(connected, "error kicked", []);
    },
  },
  {
    name: "self.drained waits for a client that does not read, and then resolves with true",
    needs: ["drain", "crossConnection"],
    run: async (host) => {
      const connected = await openWithBacklog(host);
      const drained = connected.act({ do: "drained" });
      connected.client.setReading(true);
      for (let i = 0; i < 8; i++) equal((await connected.client.next())[0], "binary", "the client got");
      equal(await drained, "true", "self.drained");
      connected.client.close(1000);
    },
  },
  {
    name: "self.drained resolves with false when the connection ends first",
    needs: ["drain", "crossConnection"],
    run: async (host) => {
      const connected = await openWithBacklog(host);
      const drained = connected.act({ do: "drained" });
      await connected.act(stop("normal"));
      equal(await drained, "false", "self.drained");
      connected.client.drop();
      await expectEnd(connected, "normal");
    },
  },
];
