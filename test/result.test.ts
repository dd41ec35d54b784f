import { describe, expect, test } from "vitest";
import { binary, ok, ping, pong, push, reply, stop, text } from "websock-js";
import { checkStopOptions, defaultCloseCode, isNormalStop } from "../src/result.ts";

describe("results", () => {
  const message = text("hi");
  const state = { count: 1 };

  test.each([
    ["ok", ok(state), ["ok", state]],
    ["push of one", push(message, state), ["push", message, state]],
    ["push of many", push([message, message], state), ["push", [message, message], state]],
    ["push of none", push([], state), ["push", [], state]],
    ["reply", reply("status", message, state), ["reply", "status", message, state]],
    ["stop", stop("normal", state), ["stop", "normal", state]],
    ["stop with a code", stop("x", state, { code: 4001 }), ["stop", "x", [4001, null], state]],
    ["stop with both", stop("x", state, { code: 4001, text: "t" }), ["stop", "x", [4001, "t"], state]],
    ["stop with a text", stop("normal", state, { text: "t" }), ["stop", "normal", [1000, "t"], state]],
    ["stop with a text for a restart", stop("restart", state, { text: "t" }), ["stop", "restart", [1012, "t"], state]],
    ["stop with no text", stop("x", state, { text: null }), ["stop", "x", [1011, null], state]],
    ["stop with nothing said", stop("normal", state, {}), ["stop", "normal", [1000, null], state]],
    [
      "stop with a message",
      stop("normal", state, { messages: message }),
      ["stop", "normal", [1000, null], message, state],
    ],
    [
      "stop with everything",
      stop("x", state, { code: 3000, text: "t", messages: [message] }),
      ["stop", "x", [3000, "t"], [message], state],
    ],
  ])("%s", (_name, result, tuple) => {
    expect(result).toEqual(tuple);
    // The state itself, not a copy.
    expect(result.at(-1)).toBe(state);
  });

  test("a state may be undefined", () => {
    expect(ok(undefined)).toEqual(["ok", undefined]);
    expect(stop("normal", undefined)).toHaveLength(3);
  });
});

describe("messages", () => {
  test.each([
    [text("a"), { opcode: "text", data: "a" }],
    [text(["a", ["b"]]), { opcode: "text", data: ["a", ["b"]] }],
    [binary(Uint8Array.of(1)), { opcode: "binary", data: Uint8Array.of(1) }],
    [ping(), { opcode: "ping", data: "" }],
    [ping("p"), { opcode: "ping", data: "p" }],
    [pong(), { opcode: "pong", data: "" }],
    [pong("p"), { opcode: "pong", data: "p" }],
  ])("%o", (message, expected) => {
    expect(message).toEqual(expected);
  });

  test("are not copied", () => {
    const data = Uint8Array.of(1);
    expect(binary(data).data).toBe(data);
  });
});

describe("the close code of a stop that names none", () => {
  test.each<[unknown, number, boolean]>([
    ["normal", 1000, true],
    ["disconnected", 1000, true],
    ["restart", 1012, true],
    ["Normal", 1011, false],
    ["kicked", 1011, false],
    ["", 1011, false],
    [undefined, 1011, false],
    [null, 1011, false],
    [new Error("normal"), 1011, false],
    [1000, 1011, false],
    [{ toString: () => "normal" }, 1011, false],
  ])("%o: %i", (reason, code, normal) => {
    expect(defaultCloseCode(reason)).toBe(code);
    expect(isNormalStop(reason)).toBe(normal);
  });
});

describe("the detail of a stop", () => {
  test.each([{}, { code: 4000 }, { text: null }, { messages: [] }, { code: 4000, text: "x", messages: text("y") }])(
    "may be %o",
    (detail) => {
      expect(stop("x", 0, detail)[0]).toBe("stop");
    },
  );

  test.each<[unknown, string]>([
    [{ reason: "bye" }, 'unknown option "reason"; valid options are code, text, messages'],
    [{ code: 4000, message: text("x") }, 'unknown option "message"; valid options are code, text, messages'],
    [{ abort: true }, 'unknown option "abort"; valid options are code, text, messages'],
    [4000, "must be an object with code, text, messages, not 4000; use { code: 4000 }"],
    [[4000, "bye"], "must be an object with code, text, messages, not an array"],
    ["bye", 'must be an object with code, text, messages, not "bye"'],
    [null, "must be an object with code, text, messages, not null"],
  ])("may not be %o", (detail, message) => {
    expect(() => stop("x", 0, detail as object)).toThrow(TypeError);
    expect(() => stop("x", 0, detail as object)).toThrow(message);
  });

  test("has more keys where it is said so", () => {
    expect(() => checkStopOptions({ abort: true, code: 4000 }, "abort")).not.toThrow();
    expect(() => checkStopOptions({ abrot: true }, "abort")).toThrow(
      'unknown option "abrot"; valid options are code, text, messages, abort',
    );
  });
});
