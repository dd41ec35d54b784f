import { describe, expect, test } from "vitest";
import { type HandleResult, ok, push, reply, stop, text } from "websock-js";
import { codedTypeError } from "../../src/error-codes.ts";
import { isResult, refuseResult, stateOf } from "../../src/session/result-shape.ts";

const state = { n: 1 };
const hi = text("hi");

describe("isResult and stateOf", () => {
  test.each<[string, HandleResult<unknown>]>([
    ["ok", ok(state)],
    ["push", push(hi, state)],
    ["push of a list", push([hi, hi], state)],
    ["reply", reply("status", hi, state)],
    ["stop", stop("normal", state)],
    ["stop with a code", ["stop", "normal", 1000, state]],
    ["stop with detail", stop("normal", state, { code: 4000, text: "t" })],
    ["stop with messages", stop("normal", state, { messages: hi })],
  ])("%s", (_name, result) => {
    expect(isResult(result)).toBe(true);
    expect(stateOf(result)).toBe(state);
  });

  test("a state may be undefined", () => {
    expect(isResult(ok(undefined))).toBe(true);
    expect(stateOf(ok(undefined))).toBeUndefined();
  });

  test.each<[unknown]>([
    [undefined],
    [null],
    [0],
    ["ok"],
    [true],
    [{}],
    [{ 0: "ok", 1: state, length: 2 }],
    [[]],
    [["ok"]],
    [["ok", state, state]],
    [["push", state]],
    [["push", hi, state, state]],
    [["reply", hi, state]],
    [["reply", 1, hi, state, state]],
    [["stop", state]],
    [["stop", "normal", 1000, hi, state, 1]],
    [["OK", state]],
    [["noreply", state]],
    [[state, "ok"]],
    [["constructor", state]],
    [["toString", state]],
    [["__proto__", state, state]],
    [[["ok", state], state]],
    [() => ok(state)],
    [Promise.resolve(ok(state))],
  ])("%o is not a result", (value) => {
    expect(isResult(value)).toBe(false);
  });
});

describe("refuseResult", () => {
  test.each<[unknown, string]>([
    [undefined, "undefined"],
    [null, "null"],
    [42, "42"],
    ["ok", '"ok"'],
    [{ a: 1 }, "an object"],
    [[], "an array that begins with undefined"],
    [["okay", 1], 'an array that begins with "okay"'],
    [[{}], "an array that begins with an object"],
    [Symbol("s"), "Symbol(s)"],
  ])("names the value: %o", (value, got) => {
    expect(() => refuseResult(value, "handleIn")).toThrow(
      codedTypeError(
        "WEBSOCK_INVALID_RESULT",
        `"handleIn" returned ${got}; it must return ok(…), push(…), reply(…) or stop(…)`,
      ),
    );
  });

  test.each(["init", "handleControl", "handleInfo"] as const)("names the callback: %s", (callback) => {
    expect(() => refuseResult(1, callback)).toThrow(new RegExp(`^"${callback}" returned 1;`));
  });
});
