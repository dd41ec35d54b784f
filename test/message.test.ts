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
    [undefined, /^json\(\) cannot express undefined: JSON has no such value$/],
    [function task() {}, /^json\(\) cannot express the function task: JSON has no such value$/],
    [Symbol("x"), /^json\(\) cannot express Symbol\(x\): JSON has no such value$/],
    [1n, /^json\(\) cannot express 1n as JSON: .*BigInt/],
    [{ a: [1n] }, /^json\(\) cannot express an object as JSON: .*BigInt/],
    [cycle, /^json\(\) cannot express an object as JSON: .*circular/],
    [{ toJSON: () => undefined }, /^json\(\) cannot express an object: JSON has no such value$/],
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
    ["x", 'not a message: "x"; send text("x")'],
    [{ type: "task" }, "not a message: an object; send json({ … })"],
    [new Map(), "not a message: a Map; send json({ … })"],
    [5, 'not a message: 5; send json(5) or text("5")'],
    [new Uint8Array(1), "not a message: a Uint8Array; send binary(data)"],
    [Buffer.from("x"), "not a message: a Buffer; send binary(data)"],
    [new ArrayBuffer(1), "not a message: an ArrayBuffer; send binary(data)"],
    [Promise.resolve(text("x")), "not a message: a Promise; await it first"],
    [[text("x")], "not a message: a list; a list of messages may not contain lists"],
    [undefined, "not a message: undefined; messages are made by text(), json(), binary(), ping() and pong()"],
    [null, "not a message: null; messages are made by text(), json(), binary(), ping() and pong()"],
    [text, "not a message: the function text; messages are made by text(), json(), binary(), ping() and pong()"],
    [{ opcode: "close" }, 'not a message: its opcode is "close"; stop(reason, state, { code, text }) closes'],
    [{ opcode: "task" }, 'not a message: its opcode is "task"; opcodes are "text", "binary", "ping" and "pong"'],
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
