import { describe, expect, test } from "vitest";
import { ConnectionLost, MailboxOverflow, ProtocolError, SlowConsumer } from "websock-js";
import { HeapExceeded } from "websock-js/isolate";
import { packError, packReason, unpackError, unpackReason } from "../../src/isolate/packed-error.ts";

/** What arrives in another thread. */
const cross = (error: unknown): unknown => unpackError(structuredClone(packError(error)));

describe("errors that cross", () => {
  test.each([
    new Error("plain"),
    new RangeError("too much"),
    new ConnectionLost(),
    new ProtocolError(1007, "invalid UTF-8"),
    new SlowConsumer("slow"),
    new MailboxOverflow("full"),
    new HeapExceeded("large"),
  ])("%o is an instance of the same class, with the same message, stack and properties", (error) => {
    const arrived = cross(error) as Error;
    expect(arrived).toBeInstanceOf(error.constructor);
    expect(arrived.constructor).toBe(error.constructor);
    expect(arrived).toEqual(error);
    expect(arrived.stack).toBe(error.stack);
    expect(String(arrived)).toBe(String(error));
  });

  test("an error of another class is an Error with its name and properties", () => {
    class OwnError extends Error {
      override name = "OwnError";
      readonly code = 7;
      readonly callback = (): number => 0;
    }
    const arrived = cross(new OwnError("own")) as OwnError;
    expect(arrived).toBeInstanceOf(Error);
    expect(arrived).toMatchObject({ name: "OwnError", message: "own", code: 7 });
    expect(arrived.callback).toBeUndefined();
  });

  test("the cause crosses, too, and an error that is its own cause does not go on forever", () => {
    const cause = new TypeError("cause");
    expect((cross(new Error("effect", { cause })) as Error).cause).toEqual(cause);
    const own = new Error("own");
    own.cause = own;
    expect((cross(own) as Error).message).toBe("own");
  });

  test("values that are no errors are cloned; what cannot be cloned is described", () => {
    expect(cross({ a: [1, "2"] })).toEqual({ a: [1, "2"] });
    expect(cross(undefined)).toBeUndefined();
    const refused = cross(() => 0);
    expect(refused).toBeInstanceOf(TypeError);
    expect((refused as Error).message).toContain("cannot be passed to another thread (structured clone): a function");
  });
});

test("close reasons cross", () => {
  for (const reason of ["normal", "remote", "shutdown", "timeout", { error: "value" }] as const)
    expect(unpackReason(structuredClone(packReason(reason)))).toEqual(reason);
});
