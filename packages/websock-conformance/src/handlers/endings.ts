/**
 * Cases: connections that end for another reason than a result; `terminate` runs exactly once with the right reason.
 */
import {
  type ConformanceCase,
  type ConformanceHost,
  type Connected,
  equal,
  eventually,
  expectUnreachable,
  type Scenario,
} from "./host.ts";
import type { Step } from "./script.ts";

const ready = ["push", { opcode: "text", data: "ready" }, "S"];

/** Connects, and waits until `init` has been called. */
export const open = async (host: ConformanceHost, scenario: Scenario): Promise<Connected> => {
  const connected = await host.connect({ ...scenario, script: { init: [{ return: ready }], ...scenario.script } });
  equal(await connected.client.next(), ["text", "ready"], "the client got");
  return connected;
};

/** Checks that `terminate` ran once, with this reason, after these calls. */
export const expectEnd = async (
  connected: Connected,
  reason: string,
  calls?: readonly string[],
  close?: string,
): Promise<void> => {
  await connected.terminated();
  const report = await connected.report();
  equal(report.reason, reason, "terminate got");
  if (calls !== undefined) equal(report.calls.slice(1, -1), calls, "the calls");
  if (close !== undefined) equal(report.close, close, "self.connection's close code and text");
  expectUnreachable(report, reason);
};

const clientCloses: readonly ConformanceCase[] = (
  [
    ["a code", [1000, ""], [1000, ""], "1000 "],
    ["a code and a text, which is not sent back", [4321, "bye"], [4321, ""], "4321 bye"],
    ["nothing, and is answered with nothing", [undefined, ""], [undefined, ""], "- "],
  ] as const
).map(([what, [code, text], [answer, answerText], seen]) => ({
  name: `the client closes with ${what}`,
  run: async (host) => {
    const { closeDetail, answersClose } = host.capabilities;
    const connected = await open(host, { script: {} });
    connected.client.close(code, text);
    const got = await connected.client.next();
    // A host that answers by itself may echo the reason text, which RFC 6455 §5.5.1 does not forbid.
    if (answersClose) equal(got, ["close", answer, answerText], "the client got");
    else equal(got.slice(0, 2), ["close", answer], "the client got");
    await expectEnd(connected, "remote", [], closeDetail ? seen : "- ");
  },
}));

/**
 * An idle timeout in milliseconds. Short, because it passes in real time on hosts that detect idle clients by
 * themselves, but long enough that a client on a busy machine answers the host's ping in half of it.
 */
const REAL_TIMEOUT = 1_000;

const pending: Step = { async: "gate", echo: true };
const stuck: Step = { async: "never" };

export const endings: readonly ConformanceCase[] = [
  ...clientCloses,
  {
    name: "the client disconnects without a close frame",
    run: async (host) => {
      const connected = await open(host, { script: {} });
      connected.client.drop();
      await expectEnd(connected, "error ConnectionLost", [], "- -");
    },
  },
  {
    name: "messages received before a close frame are handled first, then the close frame is answered",
    needs: ["answersClose"],
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [pending, { echo: true }] } });
      for (const data of ["1", "2", "3"]) connected.client.send("text", data);
      connected.client.close(1000);
      await connected.openGate();
      for (const data of ["1", "2", "3"]) equal(await connected.client.next(), ["text", data], "the client got");
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await expectEnd(connected, "remote", ["handleIn text:1 S", "handleIn text:2 S", "handleIn text:3 S"]);
    },
  },
  {
    name: "a host that answers close frames by itself: messages received before one are handled nevertheless",
    lacks: ["answersClose"],
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [pending, { echo: true }] } });
      for (const data of ["1", "2", "3"]) connected.client.send("text", data);
      connected.client.close(1000);
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await connected.openGate();
      await expectEnd(connected, "remote", ["handleIn text:1 S", "handleIn text:2 S", "handleIn text:3 S"]);
    },
  },
  {
    name: "messages received before a loss are handled first",
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [{ async: "turn" }] } });
      for (const data of ["1", "2", "3"]) connected.client.send("text", data);
      connected.client.drop();
      await expectEnd(connected, "error ConnectionLost", [
        "handleIn text:1 S",
        "handleIn text:2 S",
        "handleIn text:3 S",
      ]);
    },
  },
  {
    name: "a callback that fails after the client closed",
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [{ async: "gate", throw: "late" }] } });
      connected.client.send("text", "1");
      connected.client.close(1000);
      const { answersClose } = host.capabilities;
      if (!answersClose) equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await connected.openGate();
      if (answersClose) equal(await connected.client.next(), ["close", 1011, ""], "the client got");
      await expectEnd(connected, "error late", ["handleIn text:1 S"]);
    },
  },
  {
    name: "after a stop, queued messages are dropped",
    run: async (host) => {
      const step: Step = { async: "gate", return: ["stop", "normal", "last"] };
      const connected = await open(host, { script: { handleIn: [step] } });
      for (const data of ["1", "2", "3"]) connected.client.send("text", data);
      await connected.openGate();
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await expectEnd(connected, "normal", ["handleIn text:1 S"]);
    },
  },
  {
    name: "a terminate that throws has no further effect",
    run: async (host) => {
      const connected = await open(host, { script: { terminate: [{ throw: "in terminate" }] } });
      connected.client.close(1000);
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await expectEnd(connected, "remote");
    },
  },
  {
    name: "a terminate that rejects has no further effect",
    run: async (host) => {
      const connected = await open(host, { script: { terminate: [{ throw: "in terminate", async: "turn" }] } });
      connected.client.close(1000);
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await expectEnd(connected, "remote");
    },
  },
  {
    name: "the client closes while init is pending",
    run: async (host) => {
      const connected = await host.connect({ script: { init: [{ async: "gate", return: ["ok", "S"] }] } });
      connected.client.close(1000);
      await connected.openGate();
      equal(await connected.client.next(), ["close", 1000, ""], "the client got");
      await expectEnd(connected, "remote", []);
    },
  },
  {
    name: "an init that fails ends without terminate",
    run: async (host) => {
      const { client, report } = await host.connect({ script: { init: [{ throw: "no" }] } });
      equal(await client.next(), ["close", 1011, ""], "the client got");
      equal((await report()).calls, ["init  "], "the calls");
    },
  },
  {
    name: "the server closes",
    needs: ["shutdown"],
    run: async (host) => {
      const connected = await open(host, { script: {} });
      await host.shutdown!(1001);
      equal(await connected.client.next(), ["close", 1001, ""], "the client got");
      await expectEnd(connected, "shutdown", []);
    },
  },
  {
    name: "the server drains",
    needs: ["shutdown"],
    run: async (host) => {
      const connected = await open(host, { script: {} });
      await host.shutdown!(1012);
      equal(await connected.client.next(), ["close", 1012, ""], "the client got");
      await expectEnd(connected, "shutdown", []);
    },
  },
  {
    name: "the server closes while a callback is pending: the connection immediately, terminate after the callback, with its state",
    needs: ["shutdown"],
    run: async (host) => {
      const step: Step = { async: "gate", return: ["push", { opcode: "text", data: "too late" }, "last"] };
      const connected = await open(host, { script: { handleIn: [step] } });
      connected.client.send("text", "1");
      await eventually(connected, ({ calls }) => calls.length === 2);
      await host.shutdown!(1001);
      equal(await connected.client.next(), ["close", 1001, ""], "the client got");
      equal((await connected.report()).reason, undefined, "terminate, while the callback is pending");
      await connected.openGate();
      await expectEnd(connected, "shutdown", ["handleIn text:1 S"]);
      equal((await connected.report()).calls.at(-1), "terminate shutdown last", "the last call");
    },
  },
  {
    name: "the host's own server stops",
    needs: ["stop"],
    run: async (host) => {
      const connected = await open(host, { script: {} });
      await host.stop!();
      // The host may send a reason text of its own.
      equal((await connected.client.next()).slice(0, 2), ["close", 1001], "the client got");
      await expectEnd(connected, "shutdown", [], "- -");
    },
  },
  {
    name: "nothing is received for timeout",
    needs: ["idleClock"],
    honours: ["timeout"],
    run: async (host) => {
      const connected = await open(host, { script: {}, options: { timeout: 1_000 } });
      await host.advance?.(999);
      equal((await connected.report()).reason, undefined, "terminate, before its time");
      await host.advance?.(1);
      equal(await connected.client.next(), ["close", 1001, "idle timeout"], "the client got");
      await expectEnd(connected, "timeout", []);
    },
  },
  {
    name: "a host that detects idle clients by itself: nothing is received for timeout",
    lacks: ["idleClock"],
    honours: ["timeout"],
    run: async (host) => {
      const connected = await open(host, { script: {}, options: { timeout: REAL_TIMEOUT } });
      connected.client.setReading(false);
      await expectEnd(connected, "timeout", [], "- -");
      connected.client.setReading(true);
      equal((await connected.client.next()).slice(0, 2), ["close", 1001], "the client got");
    },
  },
  {
    name: "a host that ignores timeout: a silent client stays connected",
    needs: ["advance"],
    ignores: ["timeout"],
    run: async (host) => {
      const connected = await open(host, { script: { handleIn: [{ echo: true }] }, options: { timeout: 1_000 } });
      await host.advance!(600_000);
      connected.client.send("text", "still there?");
      equal(await connected.client.next(), ["text", "still there?"], "the client got");
      connected.client.close(1000);
    },
  },
  ...(["close", "loss", "shutdown", "idle"] as const).map(
    (end): ConformanceCase => ({
      name: `a callback that never settles × ${end}: abandoned after closeTimeout`,
      needs: end === "shutdown" ? ["shutdown"] : [],
      honours: end === "idle" ? ["timeout"] : [],
      run: async (host) => {
        const timeout = host.capabilities.idleClock ? 2_000 : REAL_TIMEOUT;
        const options = { closeTimeout: 1_000, timeout: end === "idle" ? timeout : 600_000, heartbeat: false } as const;
        const connected = await open(host, { script: { handleIn: [stuck] }, options });
        connected.client.send("text", "1");
        await eventually(connected, ({ calls }) => calls.length === 2);
        const reason = await ENDS[end](connected, host);
        await eventually(
          connected,
          (report) => report.reason !== undefined,
          () => host.advance?.(250),
        );
        await expectEnd(connected, reason, ["handleIn text:1 S"]);
        equal((await connected.report()).calls.at(-1), `terminate ${reason} S`, "the last call");
      },
    }),
  ),
];

/** Ends a connection whose callback never settles. Returns the reason that `terminate` must receive. */
const ENDS = {
  close: async ({ client }: Connected) => {
    client.close(1000);
    return "remote";
  },
  loss: async ({ client }: Connected) => {
    client.drop();
    return "error ConnectionLost";
  },
  shutdown: async ({ client }: Connected, host: ConformanceHost) => {
    await host.shutdown!(1001);
    equal(await client.next(), ["close", 1001, ""], "the client got");
    return "shutdown";
  },
  idle: async ({ client }: Connected, host: ConformanceHost) => {
    if (!host.capabilities.idleClock) {
      client.setReading(false);
      return "timeout";
    }
    await host.advance?.(2_000);
    equal(await client.next(), ["close", 1001, "idle timeout"], "the client got");
    return "timeout";
  },
};
