import { format, inspect } from "node:util";
import { describe, expect, test } from "vitest";
import {
  AbortError,
  ConnectionLost,
  MailboxOverflow,
  ProtocolError,
  SlowConsumer,
  UnknownAdapterError,
  UpgradeError,
} from "websock-js";
import { ChannelOverflow } from "websock-js/channels";
import { InvalidMessage } from "websock-js/typed";
import { connectionLost } from "../src/errors.ts";

describe("errors", () => {
  test.each([
    ["UnknownAdapterError", "WEBSOCK_UNKNOWN_ADAPTER", new UnknownAdapterError("m"), TypeError],
    ["ConnectionLost", "WEBSOCK_CONNECTION_LOST", new ConnectionLost("m"), Error],
    ["ProtocolError", "WEBSOCK_PROTOCOL_ERROR", new ProtocolError(1002, "m"), Error],
    ["SlowConsumer", "WEBSOCK_SLOW_CONSUMER", new SlowConsumer("m"), Error],
    ["MailboxOverflow", "WEBSOCK_MAILBOX_OVERFLOW", new MailboxOverflow("m"), Error],
    ["ChannelOverflow", "WEBSOCK_CHANNEL_OVERFLOW", new ChannelOverflow("m"), Error],
    ["InvalidMessage", "WEBSOCK_INVALID_MESSAGE", new InvalidMessage("m", []), TypeError],
  ] as const)("%s is an Error with its own name, code, message and stack", (name, code, error, base) => {
    expect(error).toBeInstanceOf(base);
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe(name);
    expect(error.code).toBe(code);
    expect(error.message).toBe(`m (${code})`);
    expect(error.stack).toContain("errors.test");
    expect(String(error)).toBe(`${name}: m (${code})`);
  });

  test("the reason of an aborted signal has a code", () => {
    expect(new AbortError("remote")).toMatchObject({ name: "AbortError", code: "WEBSOCK_CONNECTION_ENDING" });
    expect(new AbortError("remote").message).toBe("the connection is ending: remote (WEBSOCK_CONNECTION_ENDING)");
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

  test("ProtocolError has the close code and the text that the client gets, which does not contain the error's code", () => {
    expect(new ProtocolError(1009, "too big")).toMatchObject({ closeCode: 1009, closeText: "too big" });
  });
});

describe("UpgradeError", () => {
  test("has a code in what a log shows, and none in what the client gets", async () => {
    const error = new UpgradeError(400, "m");
    expect(error).toMatchObject({ name: "UpgradeError", code: "WEBSOCK_UPGRADE_REFUSED", message: "m" });
    // What a client can cause as often as it likes has no stack trace.
    expect(error.stack).toBe("UpgradeError: m");
    expect(inspect(error)).toBe("UpgradeError: m (WEBSOCK_UPGRADE_REFUSED)");
    expect(await error.getResponse().text()).toBe("m\n");
  });

  test("has the status under the names that frameworks look for, and lets them show its message", () => {
    const error = new UpgradeError(405, "use GET", { allow: "GET" });
    expect(error).toMatchObject({ status: 405, statusCode: 405, headers: { allow: "GET" }, expose: true });
    expect(new UpgradeError(400, "m").headers).toEqual({});
  });

  test("prints as one line, whatever prints it", () => {
    const error = new UpgradeError(426, "use\r\nan upgrade", { upgrade: "websocket", connection: "Upgrade" });
    const line = "UpgradeError: use an upgrade";
    const logged = `${line} (WEBSOCK_UPGRADE_REFUSED)`;
    expect([inspect(error), format("%o", error), error.stack, inspect({ error }, { depth: 5 })]).toEqual([
      logged,
      logged,
      line,
      `{ error: ${logged} }`,
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
