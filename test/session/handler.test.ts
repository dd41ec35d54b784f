import { describe, expect, test } from "vitest";
import { callbacksOf } from "../../src/session/handler.ts";
import * as module from "./example-handler.ts";

const init = () => ["ok", 0];
const handleIn = () => ["ok", 0];
const minimal = { init, handleIn };

describe("callbacksOf", () => {
  test("finds the callbacks of an object; missing ones are undefined", () => {
    expect(callbacksOf(minimal)).toEqual({
      target: minimal,
      init,
      handleIn,
      handleControl: undefined,
      handleInfo: undefined,
      terminate: undefined,
    });
    const all = { ...minimal, handleControl: () => 1, handleInfo: () => 2, terminate: () => 3 };
    expect(callbacksOf(all)).toEqual({ target: all, ...all });
  });

  test("finds the callbacks of a module", () => {
    expect(callbacksOf(module)).toMatchObject({ target: module, init: module.init, handleIn: module.handleIn });
  });

  test("finds the callbacks of a class instance, inherited ones too, and calls them on the instance", () => {
    class Base {
      readonly greeting: string = "hi";
      init(): string {
        return this.greeting;
      }
      handleIn(): void {}
    }
    class Derived extends Base {
      override readonly greeting = "hello";
      readonly #secret = 1;
      helper(): number {
        return this.#secret;
      }
      terminate(): number {
        return this.helper();
      }
    }
    const callbacks = callbacksOf(new Derived());
    expect(callbacks.init.call(callbacks.target)).toBe("hello");
    expect(callbacks.terminate!.call(callbacks.target)).toBe(1);
    expect(callbacks.handleControl).toBeUndefined();
  });

  test("finds the callbacks of an object without a prototype, and callbacks that are getters", () => {
    expect(callbacksOf(Object.assign(Object.create(null), minimal)).init).toBe(init);
    const lazy = {
      get init() {
        return init;
      },
      handleIn,
    };
    expect(callbacksOf(lazy).init).toBe(init);
  });

  test("looks a handler up once", () => {
    let asked = 0;
    const counting = {
      get init() {
        asked++;
        return init;
      },
      handleIn,
    };
    const callbacks = callbacksOf(counting);
    const before = asked;
    expect(callbacksOf(counting)).toBe(callbacks);
    expect(asked).toBe(before);
  });

  test.each([
    ["handleMessage", { ...minimal, handleMessage: () => {} }],
    ["handleInfos", { ...minimal, handleInfos: "not even a function" }],
    [
      "handleText",
      new (class {
        init(): void {}
        handleIn(): void {}
        handleText(): void {}
      })(),
    ],
    ["handleClose", Object.create({ ...minimal, handleClose: () => {} })],
    ["handleHidden", Object.defineProperty({ ...minimal }, "handleHidden", { value: 1, enumerable: false })],
  ])("a property %s is refused", (name, handler) => {
    expect(() => callbacksOf(handler)).toThrow(TypeError);
    expect(() => callbacksOf(handler)).toThrow(`unknown callback "${name}"; valid callbacks are init, handleIn,`);
    // Errors are not cached.
    expect(() => callbacksOf(handler)).toThrow(TypeError);
  });

  test("other properties are ignored", () => {
    const handler = { ...minimal, helper: 1, onMessage: () => {}, Handle: 1, unhandled: true, terminateAll: 1 };
    expect(callbacksOf(handler).init).toBe(init);
  });

  test.each([
    "handle",
    "handler",
    "handlers",
    "handled",
    "handles",
    "handle_in",
    "handlebars",
    "handle1",
    "handleÉtat",
  ])("%s is allowed: only names of handle and a capital letter are reserved", (name) => {
    expect(callbacksOf({ ...minimal, [name]: () => {} }).init).toBe(init);
  });

  test.each<[string | undefined, object]>([
    [undefined, minimal],
    [undefined, module],
    ["Chat", { ...minimal, name: "Chat" }],
    [undefined, { ...minimal, name: "" }],
    [undefined, { ...minimal, name: () => "Chat" }],
    ["Chat", Object.assign(Object.create(null), minimal, { name: "Chat" })],
    [
      "Room",
      new (class Room {
        readonly name = "lobby";
        init(): void {}
        handleIn(): void {}
      })(),
    ],
  ])("is named %s in reports: by its class, or by its property name", (name, handler) => {
    expect(callbacksOf(handler).name).toBe(name);
  });

  test.each<[string, object]>([
    ["init", { handleIn }],
    ["init", { init: undefined, handleIn }],
    ["handleIn", { init }],
    ["init", {}],
    ["init", []],
    ["init", { init: 1, handleIn }],
    ["handleIn", { init, handleIn: null }],
    ["handleControl", { ...minimal, handleControl: null }],
    ["handleInfo", { ...minimal, handleInfo: {} }],
    ["terminate", { ...minimal, terminate: "x" }],
  ])("%s must be a function: %o", (name, handler) => {
    expect(() => callbacksOf(handler)).toThrow(TypeError);
    expect(() => callbacksOf(handler)).toThrow(`the handler's "${name}" must be a function, not `);
  });

  test("an optional callback may be undefined", () => {
    expect(callbacksOf({ ...minimal, terminate: undefined }).terminate).toBeUndefined();
  });

  test.each([null, undefined, 1, "x", class {}, () => minimal])("%o is not a handler", (handler) => {
    expect(() => callbacksOf(handler as never)).toThrow(/a handler must be a module, an object or a class instance/);
  });
});
