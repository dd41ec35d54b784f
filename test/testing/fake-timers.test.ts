/** Tests of applications install fake timers: what runs in memory goes on. */
import type { IncomingMessage } from "node:http";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type DataMessage, handler, ok, push, text, upgrade } from "websock-js";
import { connect, connectRoute } from "websock-js/testing";
import { failOnUncaught } from "../support/uncaught.ts";

failOnUncaught();

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const echo = { init: () => ok(0), handleIn: (message: DataMessage, state: number) => push(message, state) };

test("settled resolves, infos are handled, and close is answered", async () => {
  const client = await connect(
    handler<string>()({ ...echo, handleInfo: (info, state: number) => push(text(info), state) }),
  );
  client.send("a");
  client.info("b");
  await client.settled();
  expect(client.received.map(({ data }) => data)).toEqual(["a", "b"]);
  client.close(1000);
  expect(await client.ended).toMatchObject({ code: 1000, reason: "remote" });
});

test("connectRoute runs an app of Node's", async () => {
  const { client, response } = await connectRoute("/", { listener: (req: IncomingMessage) => upgrade(req, echo) });
  expect(response.status).toBe(101);
  client!.send("a");
  expect(await client!.receive()).toEqual({ opcode: "text", data: "a" });
});

test("the client's clock and the fake one are moved one by one", async () => {
  const client = await connect({
    ...echo,
    handleIn: async (message: DataMessage, state: number) => {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return push(message, state);
    },
  });
  client.send("later");
  client.advance(1_000);
  expect(client.received).toEqual([]);
  await vi.advanceTimersByTimeAsync(1_000);
  await client.settled();
  expect(client.received).toEqual([{ opcode: "text", data: "later" }]);
});
