import { format, inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  ConnectionLost,
  MailboxOverflow,
  ProtocolError,
  SlowConsumer,
  UnknownAdapterError,
  UpgradeError,
} from "websock-js";
import { connectionLost } from "../src/errors.ts";

describe("errors", () => {
  test.each([
    ["UnknownAdapterError", new UnknownAdapterError("m"), TypeError],
    ["UpgradeError", new UpgradeError(400, "m"), Error],
    ["ConnectionLost", new ConnectionLost("m"), Error],
    ["ProtocolError", new ProtocolError(1002, "m"), Error],
    ["SlowConsumer", new SlowConsumer("m"), Error],
    ["MailboxOverflow", new MailboxOverflow("m"), Error],
  ] as const)("%s is an Error with its own name, message and stack", (name, error, base) => {
    expect(error).toBeInstanceOf(base);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.message).toBe("m");
    // What a client can cause as often as it likes has no stack trace.
    if (name === "UpgradeError") expect(error.stack).toBe("UpgradeError: m");
    else expect(error.stack).toContain("errors.test");
    expect(String(error)).toBe(`${name}: m`);
  });

  test("ConnectionLost says what happened without being told", () => {
    expect(new ConnectionLost().message).toMatch(/without a close frame/);
  });

  test("the ConnectionLost of a connection has no stack trace, and the next error has one", () => {
    const { stackTraceLimit } = Error;
    expect(connectionLost().stack).toBe(`ConnectionLost: ${new ConnectionLost().message}`);
    expect(Error.stackTraceLimit).toBe(stackTraceLimit);
    expect(new ConnectionLost().stack).toContain("errors.test");
  });

  test("ProtocolError has the close code", () => {
    expect(new ProtocolError(1009, "too big").code).toBe(1009);
  });
});

describe("UpgradeError", () => {
  test("has the status under the names that frameworks look for, and lets them show its message", () => {
    const error = new UpgradeError(405, "use GET", { allow: "GET" });
    expect(error).toMatchObject({ status: 405, statusCode: 405, headers: { allow: "GET" }, expose: true });
    expect(new UpgradeError(400, "m").headers).toEqual({});
  });

  test("prints as one line, whatever prints it", () => {
    const error = new UpgradeError(426, "use\r\nan upgrade", { upgrade: "websocket", connection: "Upgrade" });
    const line = "UpgradeError: use an upgrade";
    expect([inspect(error), format("%o", error), error.stack, inspect({ error }, { depth: 5 })]).toEqual([
      line,
      line,
      line,
      `{ error: ${line} }`,
    ]);
  });

  test.each([
    [400, {}],
    [400, { "sec-websocket-version": "13" }],
    [403, {}],
    [405, { allow: "GET" }],
    [426, { upgrade: "websocket", connection: "Upgrade" }],
    [426, { upgrade: "websocket", connection: "Upgrade", "sec-websocket-version": "13" }],
    [503, {}],
  ])("%i with %o is such a response", async (status, headers) => {
    const response = new UpgradeError(status, "the reason: “ü”", headers).getResponse();
    expect(response).toBeInstanceOf(Response);
    expect(response.status).toBe(status);
    expect(Object.fromEntries(response.headers)).toEqual({ "content-type": "text/plain; charset=utf-8", ...headers });
    expect(await response.text()).toBe("the reason: “ü”\n");
  });

  test("makes a new response every time: a body can be read once", async () => {
    const error = new UpgradeError(400, "m");
    expect(await error.getResponse().text()).toBe("m\n");
    expect(await error.getResponse().text()).toBe("m\n");
  });
});
