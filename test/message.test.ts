import { describe, expect, test } from "vitest";
import { binary, json, type OutMessage, text } from "websock-js";
import { checkMessage } from "../src/session/outgoing.ts";

describe("json", () => {
  test.each([null, true, 0, "x", [1, "a"], { type: "task", id: 1 }, new Date(0), { toJSON: () => "own" }])(
    "is a text message of %j",
    (value) => {
      expect(json(value)).toEqual({ opcode: "text", data: JSON.stringify(value) });
    },
  );

  test("converts at the call: what happens to the value afterwards changes nothing", () => {
    const value = { n: 1 };
    const message = json(value);
    value.n = 2;
    expect(message.data).toBe('{"n":1}');
  });

  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  test.each<[unknown, RegExp]>([
    [undefined, /^JSON cannot represent undefined \(WEBSOCK_NOT_SERIALIZABLE\)$/],
    [function task() {}, /^JSON cannot represent the function task \(WEBSOCK_NOT_SERIALIZABLE\)$/],
    [Symbol("x"), /^JSON cannot represent Symbol\(x\) \(WEBSOCK_NOT_SERIALIZABLE\)$/],
    [1n, /^JSON cannot represent 1n: .*BigInt/],
    [{ a: [1n] }, /^JSON cannot represent an object: .*BigInt/],
    [cycle, /^JSON cannot represent an object: .*circular/],
    [{ toJSON: () => undefined }, /^JSON cannot represent an object \(WEBSOCK_NOT_SERIALIZABLE\)$/],
  ])("refuses %o at the call", (value, message) => {
    expect(() => json(value)).toThrow(TypeError);
    expect(() => json(value)).toThrow(message);
  });

  test("keeps the error of a toJSON that throws as the cause", () => {
    const failure = new Error("closed");
    const value = {
      toJSON: () => {
        throw failure;
      },
    };
    expect(() => json(value)).toThrow(expect.objectContaining({ cause: failure }));
  });
});

describe("what is no message", () => {
  test.each<[unknown, string]>([
    ["x", 'not a message: "x"; use text("x")'],
    [{ type: "task" }, "not a message: an object; use json({ … })"],
    [new Map(), "not a message: a Map; use json({ … })"],
    [5, 'not a message: 5; use json(5) or text("5")'],
    [new Uint8Array(1), "not a message: a Uint8Array; use binary(data)"],
    [Buffer.from("x"), "not a message: a Buffer; use binary(data)"],
    [new ArrayBuffer(1), "not a message: an ArrayBuffer; use binary(data)"],
    [Promise.resolve(text("x")), "not a message: a Promise; await it first"],
    [[text("x")], "not a message: an array; an array of messages must not contain arrays"],
    [undefined, "not a message: undefined; create messages with text(), json(), binary(), ping() or pong()"],
    [null, "not a message: null; create messages with text(), json(), binary(), ping() or pong()"],
    [text, "not a message: the function text; create messages with text(), json(), binary(), ping() or pong()"],
    [
      { opcode: "close" },
      'not a message: its opcode is "close"; to close the connection, return stop(reason, state, { code, text })',
    ],
    [{ opcode: "task" }, 'not a message: its opcode is "task"; valid opcodes are "text", "binary", "ping" and "pong"'],
    [{ opcode: 1 }, "not a message: its opcode is 1;"],
    [JSON.stringify({ text: "long".repeat(50) }), "…"],
  ])("%o: the error says how one is made of it", (value, message) => {
    expect(() => checkMessage(value as OutMessage)).toThrow(TypeError);
    expect(() => checkMessage(value as OutMessage)).toThrow(message);
  });

  test("a binary of the cure is one", () => {
    expect(checkMessage(binary(new Uint8Array(1)))).toBe(1);
  });
});
