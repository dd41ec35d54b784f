/** Generates valid and invalid results of callbacks, and predicts their effects. */
import fc from "fast-check";
import type { CloseReason } from "../../src/websock.ts";

/** A message that a callback tries to send. `size`: `undefined` if it may not be sent. */
export interface Attempt {
  readonly message: unknown;
  readonly size: number | undefined;
}

const sound = (opcode: string, data: unknown, size: number): Attempt => ({
  message: { opcode, data },
  size,
  // Large messages would make counterexamples unreadable.
  [fc.toStringMethod as never]: () => `${opcode} of ${size}`,
});
const unsound = (message: unknown): Attempt => ({ message, size: undefined });

const LARGE = "x".repeat(40_000);
const HUGE = "y".repeat(70_000);

const ATTEMPTS: readonly Attempt[] = [
  sound("text", "hi", 2),
  sound("text", "é€😀", 9),
  sound("text", ["a", ["b", new Uint8Array([0xc3, 0xa9])]], 4),
  sound("text", undefined, 0),
  sound("binary", new Uint8Array([0xff, 0xfe]), 2),
  sound("binary", null, 0),
  sound("text", LARGE, 40_000),
  sound("binary", [HUGE, new ArrayBuffer(4)], 70_004),
  sound("ping", "", 0),
  sound("pong", "p".repeat(125), 125),
  unsound({ opcode: "ping", data: "p".repeat(126) }),
  unsound({ opcode: "text", data: new Uint8Array([0xff]) }),
  unsound({ opcode: "close", data: "" }),
  unsound({ opcode: "binary", data: 5 }),
  unsound({ opcode: "text", data: ["a", undefined] }),
  unsound(null),
  unsound("hi"),
  unsound([]),
];

const attempt = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...ATTEMPTS.filter(({ size = 0 }) => size > 1_000)) },
  { weight: 7, arbitrary: fc.constantFrom(...ATTEMPTS.filter(({ size }) => size !== undefined)) },
  { weight: 1, arbitrary: fc.constantFrom(...ATTEMPTS.filter(({ size }) => size === undefined)) },
);

/** One message, or a list. */
type Sends = Attempt | readonly Attempt[];

const sends: fc.Arbitrary<Sends> = fc.oneof(
  // A single list is a list of messages, not a message.
  attempt.filter(({ message }) => !Array.isArray(message)),
  fc.array(attempt, { maxLength: 4 }),
);

const attemptsOf = (sends: Sends | null): readonly Attempt[] => (sends === null ? [] : ([sends].flat() as Attempt[]));

const messagesOf = (sends: Sends): unknown =>
  Array.isArray(sends) ? sends.map(({ message }: Attempt) => message) : (sends as Attempt).message;

type Detail = { readonly value: unknown; readonly says: readonly [code: number, text: string] | "default" | "unsound" };

const DETAILS: readonly Detail[] = [
  { value: 1000, says: [1000, ""] },
  { value: 4999, says: [4999, ""] },
  { value: [4001, "bye"], says: [4001, "bye"] },
  { value: [3000, null], says: [3000, ""] },
  { value: [1012], says: [1012, ""] },
  { value: [1000, "€".repeat(41)], says: [1000, "€".repeat(41)] },
  { value: undefined, says: "default" },
  { value: null, says: "default" },
  ...[1005, 1006, 1015, 999, 5000, 1000.5, Number.NaN, "1000", [], [1000, 5], [1000, "x".repeat(124)], {}].map(
    (value): Detail => ({ value, says: "unsound" }),
  ),
];

const REASONS = ["normal", "disconnected", "restart", "kicked", 42, undefined, new Error("a reason")] as const;

const NONSENSE: readonly unknown[] = [
  ...[undefined, null, 0, "ok", true, Symbol("ok"), () => ["ok", 1], {}, { 0: "ok", 1: 1, length: 2 }],
  ...[[], ["ok"], ["ok", 1, 2], ["push", []], ["reply", 1, []], ["stop"], ["stop", 1], ["stop", 1, 1000, [], 1, 1]],
  ...[["what", 1], [undefined, 1], [["ok", 1]]],
];

/** A result without its state. */
export type ResultSpec =
  | { readonly kind: "ok" }
  | { readonly kind: "push" | "reply"; readonly sends: Sends }
  | {
      readonly kind: "stop";
      readonly reason: (typeof REASONS)[number];
      readonly detail: Detail | null;
      readonly sends: Sends | null;
    }
  | { readonly kind: "nonsense"; readonly value: unknown };

export const result: fc.Arbitrary<ResultSpec> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({ kind: "ok" as const }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom("push" as const, "reply" as const), sends }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("stop" as const),
      reason: fc.constantFrom(...REASONS),
      detail: fc.option(fc.oneof(fc.constantFrom(...DETAILS.slice(0, 8)), fc.constantFrom(...DETAILS))),
      sends: fc.option(sends),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom(...NONSENSE).map((value) => ({ kind: "nonsense" as const, value })) },
);

export const OK: ResultSpec = { kind: "ok" };

/** The result with its state. */
export const resultOf = (spec: ResultSpec, state: unknown): unknown => {
  switch (spec.kind) {
    case "ok":
      return ["ok", state];
    case "push":
      return ["push", messagesOf(spec.sends), state];
    case "reply":
      return ["reply", "whatever", messagesOf(spec.sends), state];
    case "nonsense":
      return spec.value;
    case "stop":
      if (spec.sends !== null) return ["stop", spec.reason, spec.detail?.value, messagesOf(spec.sends), state];
      return spec.detail === null ? ["stop", spec.reason, state] : ["stop", spec.reason, spec.detail.value, state];
  }
};

/** The end of a connection that a callback causes. */
export interface Ending {
  readonly code: number;
  readonly text: string;
  readonly matches: (reason: CloseReason) => boolean;
}

/** The predicted effects of a result: the messages that are sent, in order, and the end of the connection, if any. */
export interface Prediction {
  readonly sends: readonly Attempt[];
  readonly ending: Ending | undefined;
  /** Whether it is a valid result, so that its state is used. */
  readonly isResult: boolean;
  /** The error that is reported if the result is applied. */
  readonly reported: ((error: unknown) => boolean) | undefined;
}

const errorOf = (reason: CloseReason): unknown => (typeof reason === "object" ? reason.error : undefined);

/** The prediction for a callback that failed: close code 1011, without the error's text. */
export const crash = (
  isError: (error: unknown) => boolean,
  isResult = false,
  sends: readonly Attempt[] = [],
): Prediction => ({
  sends,
  isResult,
  reported: isError,
  ending: { code: 1011, text: "", matches: (reason) => typeof reason === "object" && isError(reason.error) },
});

const refusal = (error: unknown): boolean => error instanceof TypeError || error instanceof RangeError;

export const predict = (spec: ResultSpec, callback: string): Prediction => {
  const goesOn = { isResult: true, reported: undefined, ending: undefined };
  if (spec.kind === "nonsense")
    return crash((error) => error instanceof TypeError && error.message.startsWith(`"${callback}" returned `));
  if (spec.kind === "ok") return { ...goesOn, sends: [] };
  if (spec.kind === "stop" && spec.detail?.says === "unsound") return crash(refusal, true);
  const attempts = attemptsOf(spec.sends);
  const bad = attempts.findIndex(({ size }) => size === undefined);
  if (bad !== -1) return crash(refusal, true, attempts.slice(0, bad));
  if (spec.kind !== "stop") return { ...goesOn, sends: attempts };

  const { reason, detail } = spec;
  const isNormal = reason === "normal" || reason === "disconnected" || reason === "restart";
  const standard = [isNormal ? (reason === "restart" ? 1012 : 1000) : 1011, ""] as const;
  const [code, text] = detail === null || typeof detail.says === "string" ? standard : detail.says;
  const matches = (given: CloseReason): boolean =>
    isNormal ? given === "normal" : typeof given === "object" && errorOf(given) === reason;
  return { ...goesOn, sends: attempts, ending: { code, text, matches } };
};
