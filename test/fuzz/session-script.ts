/** Generates the script of a fuzzed session: its options, the handler's reactions, and all external events. */
import fc from "fast-check";
import { OK, type ResultSpec, result } from "./session-results.ts";
import type { WireHabits } from "./session-wire.ts";

/** What a callback does while it runs. */
const MEANWHILE = ["send an info", "send five infos", "look at self", "shut down", "lose the wire", "abort"] as const;

/** How a callback returns its result. `later`: a step settles its promise. */
const WAYS = ["return", "throw", "resolved", "rejected", "later", "fail later", "never", "odd promise"] as const;

/** Thenables that violate the rules of promises. */
const ODDITIES = ["resolves immediately", "resolves later", "resolves twice", "throws", "resolves, then throws", "rejects, then resolves", "has a then that throws"] as const; // biome-ignore format: a list

export interface Reaction {
  readonly meanwhile: readonly (typeof MEANWHILE)[number][];
  readonly way: (typeof WAYS)[number];
  readonly oddity: (typeof ODDITIES)[number];
  readonly result: ResultSpec;
}

export const CALM: Reaction = { meanwhile: [], way: "return", oddity: "resolves immediately", result: OK };

const reaction: fc.Arbitrary<Reaction> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(CALM) },
  {
    weight: 3,
    arbitrary: fc.record({
      meanwhile: fc.array(
        fc.oneof(
          { weight: 12, arbitrary: fc.constantFrom(...MEANWHILE.slice(0, 3)) },
          { weight: 1, arbitrary: fc.constantFrom(...MEANWHILE.slice(3)) },
        ),
        { maxLength: 2 },
      ),
      way: fc.oneof(
        { weight: 8, arbitrary: fc.constant("return" as const) },
        { weight: 6, arbitrary: fc.constantFrom("resolved" as const, "later" as const) },
        { weight: 2, arbitrary: fc.constant("odd promise" as const) },
        { weight: 1, arbitrary: fc.constantFrom(...WAYS) },
      ),
      oddity: fc.constantFrom(...ODDITIES),
      result,
    }),
  },
);

export interface MessageSpec {
  readonly opcode: "text" | "binary" | "ping" | "pong" | "heartbeat's pong";
  readonly size: number;
  readonly reaction: Reaction;
}

const message: fc.Arbitrary<MessageSpec> = fc.record({
  opcode: fc.oneof(
    { weight: 3, arbitrary: fc.constant("text" as const) },
    { weight: 3, arbitrary: fc.constantFrom("binary", "ping", "pong", "heartbeat's pong") },
  ),
  size: fc.oneof({ weight: 8, arbitrary: fc.constantFrom(0, 1, 100) }, { weight: 1, arbitrary: fc.constant(30_000) }),
  reaction,
});

export type Step =
  | {
      readonly do: "chunk";
      readonly messages: readonly MessageSpec[];
      readonly end: "open" | "close" | "close 4000" | "fail";
    }
  | { readonly do: "flood"; readonly count: number; readonly size: number }
  | { readonly do: "info"; readonly reaction: Reaction }
  | { readonly do: "infos"; readonly count: number }
  | { readonly do: "settle"; readonly which: number }
  | { readonly do: "advance"; readonly ms: number }
  | { readonly do: "take"; readonly bytes: number }
  | { readonly do: "shut down"; readonly code: 1001 | 1012 }
  | { readonly do: "drain the group"; readonly interval: number; readonly deadline: number }
  | {
      readonly do:
        | "let promises settle"
        | "turn"
        | "stop reading"
        | "read again"
        | "drained"
        | "lose"
        | "abort"
        | "close the group";
    };

export const TIMEOUT = 1_000;
export const CLOSE_TIMEOUT = 300;

const chunk = fc.record({
  do: fc.constant("chunk" as const),
  messages: fc.array(message, { maxLength: 4 }),
  end: fc.oneof(
    { weight: 20, arbitrary: fc.constant("open" as const) },
    { weight: 1, arbitrary: fc.constantFrom("close" as const, "close 4000" as const, "fail" as const) },
  ),
});

const time = fc.oneof(
  fc.constantFrom(1, CLOSE_TIMEOUT - 1, CLOSE_TIMEOUT, TIMEOUT / 2, TIMEOUT - 1, TIMEOUT),
  fc.nat(2 * TIMEOUT),
);

const simply = <Name extends string>(...names: Name[]) => fc.record({ do: fc.constantFrom(...names) });

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 24, arbitrary: chunk },
  { weight: 12, arbitrary: fc.record({ do: fc.constant("info" as const), reaction }) },
  { weight: 12, arbitrary: simply("let promises settle") },
  { weight: 12, arbitrary: simply("turn") },
  { weight: 10, arbitrary: fc.record({ do: fc.constant("settle" as const), which: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("advance" as const), ms: time }) },
  { weight: 8, arbitrary: simply("stop reading", "stop reading", "read again", "drained") },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("take" as const),
      bytes: fc.oneof(fc.nat(50_000), fc.constant(Number.MAX_SAFE_INTEGER)),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.oneof(
      fc.record({ do: fc.constant("flood" as const), count: fc.integer({ min: 500, max: 1_600 }), size: fc.nat(3) }),
      fc.record({ do: fc.constant("flood" as const), count: fc.nat(60), size: fc.constantFrom(3_000, 30_000) }),
      fc.record({ do: fc.constant("infos" as const), count: fc.nat(1_500) }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.oneof(
      simply("lose", "abort", "close the group"),
      fc.record({ do: fc.constant("shut down" as const), code: fc.constantFrom(1001 as const, 1012 as const) }),
      fc.record({
        do: fc.constant("drain the group" as const),
        interval: fc.constantFrom(1, 500),
        deadline: fc.constantFrom(100, 2_000),
      }),
    ),
  },
);

/** A flood that overflows a mailbox takes long, so it is rare and happens once per run. */
export const overflow: Step = { do: "infos", count: 65_600 };

export interface Setting {
  readonly wire: WireHabits;
  readonly options: {
    readonly timeout: number;
    readonly heartbeat: number | false;
    readonly closeTimeout: number;
    readonly maxBuffered: number;
    readonly maxMessageSize: number;
  };
  /** Which optional callbacks the handler has. */
  readonly has: { readonly handleControl: boolean; readonly handleInfo: boolean; readonly terminate: boolean };
  readonly init: Reaction;
  readonly terminate: Reaction;
  /** How the connection is ended after the last step, if it has not ended. */
  readonly finale: "shut down" | "lose" | "silence";
}

const mostly = fc.oneof({ weight: 5, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) });

export const setting: fc.Arbitrary<Setting> = fc.record({
  wire: fc.record({
    pause: mostly,
    control: mostly,
    readsInitially: fc.boolean(),
    resumesSynchronously: fc.boolean(),
    abortsSynchronously: fc.boolean(),
    drainsSynchronously: fc.boolean(),
    answersClose: fc.boolean(),
    deliversAfterClose: fc.boolean(),
  }),
  options: fc.record({
    timeout: fc.constantFrom(TIMEOUT, TIMEOUT, Number.POSITIVE_INFINITY),
    heartbeat: fc.constantFrom<(number | false)[]>(400, 400, false, TIMEOUT),
    closeTimeout: fc.constant(CLOSE_TIMEOUT),
    maxBuffered: fc.constantFrom(10, 60_000, 200_000, Number.POSITIVE_INFINITY),
    maxMessageSize: fc.constantFrom(30_000, 10_000_000),
  }),
  has: fc.record({ handleControl: mostly, handleInfo: mostly, terminate: mostly }),
  init: fc.oneof({ weight: 3, arbitrary: fc.constant(CALM) }, { weight: 2, arbitrary: reaction }),
  terminate: fc.oneof({ weight: 2, arbitrary: fc.constant(CALM) }, { weight: 2, arbitrary: reaction }),
  finale: fc.constantFrom("shut down", "lose", "silence"),
});
