import { describe, expect, test, vi } from "vitest";
import { callbacksFor } from "../src/upgrade-arguments.ts";

const handleIn = () => ["ok", 0];
const withInit = (init: unknown) => ({ init, handleIn });
const options = { timeout: 5, origins: "*" };

describe("options in the place of arg", () => {
  class Room {
    init() {
      return ["ok", 0];
    }
    handleIn() {
      return ["ok", 0];
    }
  }

  test.each<[string, object]>([
    ["an arrow function", withInit(() => ["ok", 0])],
    ["an async one", withInit(async () => ["ok", 0])],
    ["a function", withInit(() => ["ok", 0])],
    [
      "a function with a name",
      withInit(function init() {
        return ["ok", 0];
      }),
    ],
    [
      "a method",
      {
        init() {
          return ["ok", 0];
        },
        handleIn,
      },
    ],
    [
      "an async method",
      {
        async init() {
          return ["ok", 0];
        },
        handleIn,
      },
    ],
    ["a method of a class", new Room()],
  ])("throw where init takes nothing: %s", (_name, handler) => {
    expect(() => callbacksFor(handler, options, undefined)).toThrow(TypeError);
    expect(() => callbacksFor(handler, options, undefined)).toThrow(
      '"init" takes no argument but received { timeout, origins }, which looks like options; ' +
        "pass options after arg, as in upgrade(req, Handler, undefined, { timeout, origins })",
    );
    expect(() => callbacksFor(handler, Object.assign(Object.create(null), options), undefined)).toThrow(TypeError);
    // In their place they are welcome.
    expect(callbacksFor(handler, undefined, options).handleIn).toBeTypeOf("function");
  });

  test.each<[string, object]>([
    ["a parameter", withInit((arg: object) => ["ok", arg])],
    ["a parameter with a default value", withInit((arg = { timeout: 1 }) => ["ok", arg])],
    ["a pattern with a default value", withInit(({ timeout = 1 } = {}) => ["ok", timeout])],
    ["a rest parameter", withInit((...args: unknown[]) => ["ok", args])],
    // biome-ignore format: the suppression stands right above the use
    ["arguments", withInit(function () {
      // biome-ignore lint/complexity/noArguments: that is what this is about
      return ["ok", arguments[0]];
    })],
    ["a bound function", withInit((() => ["ok", 0]).bind(null))],
    ["a mock", withInit(vi.fn(() => ["ok", 0]))],
  ])("are an arg where init may take one: %s", (_name, handler) => {
    expect(callbacksFor(handler, options, undefined).handleIn).toBe(handleIn);
  });

  class Timed {
    readonly timeout = 5;
  }
  test.each<[string, unknown]>([
    ["an object with another name", { timeout: 5, room: "lobby" }],
    ["an empty object", {}],
    ["an instance", new Timed()],
    ["a list", [5]],
    ["a string", "timeout"],
    ["null", null],
  ])("%s does not look like options", (_name, arg) => {
    expect(
      callbacksFor(
        withInit(() => ["ok", 0]),
        arg,
        undefined,
      ).handleIn,
    ).toBe(handleIn);
  });

  test("are an arg where there are options, too", () => {
    expect(
      callbacksFor(
        withInit(() => ["ok", 0]),
        options,
        {},
      ).handleIn,
    ).toBe(handleIn);
  });
});
