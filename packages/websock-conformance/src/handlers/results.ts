/** Cases: each result of each callback, with what the client and `terminate` receive. */
import {
  type ConformanceCase,
  type ConformanceHost,
  type Connected,
  equal,
  eventually,
  expectUnreachable,
  type Got,
} from "./host.ts";
import type { Script, Step } from "./script.ts";

interface Row {
  readonly name: string;
  readonly step: Step;
  /** What the client receives, without the close frame. */
  readonly gets?: readonly Got[];
  /** The close frame, and the reason that `terminate` receives. If undefined, the connection stays open. */
  readonly ends?: readonly [code: number, text: string, reason: string];
  readonly state?: string;
}

const hi = { opcode: "text", data: "hi" } as const;
const ok = ["ok", "next"];

const ROWS: readonly Row[] = [
  { name: "ok", step: { return: ok }, state: "next" },
  { name: "push of one message", step: { return: ["push", hi, "next"] }, gets: [["text", "hi"]], state: "next" },
  {
    name: "push of an array, in order",
    step: { return: ["push", [hi, { opcode: "binary", data: "12" }, { opcode: "pong", data: "p" }, hi], "next"] },
    gets: [
      ["text", "hi"],
      ["binary", "12"],
      ["pong", "p"],
      ["text", "hi"],
    ],
    state: "next",
  },
  { name: "push of an empty array", step: { return: ["push", [], "next"] }, state: "next" },
  {
    name: "push of nested data",
    step: { return: ["push", { opcode: "text", data: ["a", ["b", [], "c"], ""] }, "next"] },
    gets: [["text", "abc"]],
    state: "next",
  },
  {
    name: "push without data",
    step: { return: ["push", [{ opcode: "text" }, { opcode: "binary", data: null }], "next"] },
    gets: [
      ["text", ""],
      ["binary", ""],
    ],
    state: "next",
  },
  { name: "reply", step: { return: ["reply", "ignored", [hi], "next"] }, gets: [["text", "hi"]], state: "next" },
  { name: "stop normal", step: { return: ["stop", "normal", "last"] }, ends: [1000, "", "normal"], state: "last" },
  {
    name: "stop disconnected",
    step: { return: ["stop", "disconnected", "last"] },
    ends: [1000, "", "normal"],
    state: "last",
  },
  { name: "stop restart", step: { return: ["stop", "restart", "last"] }, ends: [1012, "", "normal"], state: "last" },
  {
    name: "stop with another reason",
    step: { return: ["stop", "bored", "last"] },
    ends: [1011, "", "error bored"],
    state: "last",
  },
  {
    name: "stop with a code",
    step: { return: ["stop", "normal", 4000, "last"] },
    ends: [4000, "", "normal"],
    state: "last",
  },
  {
    name: "stop with a code and a text",
    step: { return: ["stop", "restart", [3000, "bye"], "last"] },
    ends: [3000, "bye", "normal"],
    state: "last",
  },
  {
    name: "stop with a code and no text",
    step: { return: ["stop", "normal", [1000, null], "last"] },
    ends: [1000, "", "normal"],
    state: "last",
  },
  {
    name: "stop with a code, a text and messages",
    step: { return: ["stop", "bored", [4999, "bye"], [hi, hi], "last"] },
    gets: [
      ["text", "hi"],
      ["text", "hi"],
    ],
    ends: [4999, "bye", "error bored"],
    state: "last",
  },
  { name: "throw", step: { throw: "secret" }, ends: [1011, "", "error secret"] },
  { name: "invalid result: undefined", step: { nothing: true }, ends: [1011, "", "error TypeError"] },
  ...(
    [
      ["null", null],
      ["a string", "ok"],
      ["an unknown tag", ["nope", "state"]],
      ["a tag alone", ["push"]],
      ["a tuple that is too long", ["ok", "x", "state"]],
      ["a push of a number", ["push", 7, "state"]],
      ["a push of an unknown opcode", ["push", { opcode: "close", data: "" }, "state"]],
      ["a push of invalid data", ["push", { opcode: "text", data: 7 }, "state"]],
      ["a close detail of the wrong type", ["stop", "normal", { code: 1000 }, "state"]],
    ] as const
  ).map(
    ([name, value]): Row => ({
      name: `invalid result: ${name}`,
      step: { return: value },
      ends: [1011, "", "error TypeError"],
    }),
  ),
  ...(
    [
      ["a ping of 126 bytes", ["push", { opcode: "ping", data: "x".repeat(126) }, "state"]],
      ["a pong of 126 bytes", ["push", { opcode: "pong", data: "é".repeat(63) }, "state"]],
      ["a close reason text of 124 bytes", ["stop", "normal", [1000, "x".repeat(124)], "state"]],
      ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 1000.5].map(
        (code) => [`close code ${code}`, ["stop", "normal", code, "state"]] as const,
      ),
    ] as const
  ).map(
    ([name, value]): Row => ({
      name: `invalid message: ${name}`,
      step: { return: value },
      ends: [1011, "", "error RangeError"],
    }),
  ),
];

/** How the suite causes each callback to be called, and what the client receives meanwhile. */
const TRIGGERS: Readonly<
  Record<
    "init" | "handleIn" | "handleControl" | "handleInfo",
    { script: (step: Step) => Script; pull: (c: Connected) => void; gets: readonly Got[] }
  >
> = {
  init: { script: (step) => ({ init: [step] }), pull: () => undefined, gets: [] },
  handleIn: {
    script: (step) => ({ handleIn: [step, { echo: true }] }),
    pull: ({ client }) => client.send("text", "go"),
    gets: [],
  },
  handleControl: {
    script: (step) => ({ handleControl: [step] }),
    pull: ({ client }) => client.send("ping", "go"),
    gets: [["pong", "go"]],
  },
  handleInfo: {
    script: (step) => ({ handleIn: [{ infos: ["go"] }, { echo: true }], handleInfo: [step] }),
    pull: ({ client }) => client.send("text", "go"),
    gets: [],
  },
};

type Trigger = keyof typeof TRIGGERS;

const run = async (host: ConformanceHost, callback: Trigger, row: Row, async: Step["async"]): Promise<void> => {
  const trigger = TRIGGERS[callback];
  const step = async === undefined ? row.step : { ...row.step, async };
  const script = trigger.script(step);
  const connected = await host.connect({ script: { ...script, handleIn: script.handleIn ?? [{ echo: true }] } });
  const { client } = connected;
  trigger.pull(connected);
  for (const expected of [...trigger.gets, ...(row.gets ?? [])]) {
    if (expected[0] === "pong" && !host.capabilities.control) continue;
    equal(await client.next(), expected, "the client got");
  }
  if (row.ends === undefined) {
    // The connection stays open: the next message is answered with the returned state.
    if (callback === "handleInfo") await eventually(connected, ({ calls }) => calls.length === 3);
    client.send("text", "still there?");
    equal(await client.next(), ["text", "still there?"], "the client got");
    const { calls, reason } = await connected.report();
    equal(reason, undefined, "terminate");
    equal(calls.at(-1), `handleIn text:still there? ${row.state}`, "the next call");
    client.close(1000);
    return;
  }
  const [code, text, reason] = row.ends;
  equal(await client.next(), ["close", code, text], "the client got");
  // Without a state, `terminate` is not called.
  if (callback === "init" && row.state === undefined && !returnsState(row)) {
    equal((await connected.report()).calls, ["init  "], "the calls");
    return;
  }
  await connected.terminated();
  const report = await connected.report();
  equal(report.reason, reason, "terminate got");
  expectUnreachable(report, reason);
  if (row.state !== undefined) equal(report.calls.at(-1), `terminate ${reason} ${row.state}`, "the last call");
};

/** A result with an invalid message still provides a state. */
const returnsState = (row: Row): boolean =>
  row.ends?.[2] === "error RangeError" || /^invalid result: a (?:push of|close detail)/.test(row.name);

const HOW: readonly (readonly [name: string, async: Step["async"]])[] = [
  ["", undefined],
  [", in a promise", "microtask"],
  [", a tick later", "turn"],
];

export const results: readonly ConformanceCase[] = (Object.keys(TRIGGERS) as Trigger[]).flatMap((callback) =>
  ROWS.flatMap((row) =>
    HOW.map(([how, async]) => ({
      name: `${callback} returns: ${row.name}${how}`,
      needs: callback === "handleControl" ? (["control"] as const) : [],
      run: (host: ConformanceHost) => run(host, callback, row, async),
    })),
  ),
);
