/** `Callbacks.finish`: a handler that passes messages on finishes them before the end that the peer causes. */
import { describe, expect, test } from "vitest";
import { type CloseReason, ok, type Self } from "websock-js";
import { connect } from "websock-js/testing";
import { FINISH } from "../../src/session/handler.ts";
import { OP } from "../support/client-frames.ts";
import { deferred, nextTick } from "../support/promises.ts";
import { ObservedWorld } from "./observed-world.ts";

const relaying = (finish: (state: unknown, self: Self) => unknown) => {
  const seen: unknown[] = [];
  const handler = {
    init: () => ok("state"),
    handleIn: (message: { data: unknown }) => {
      seen.push(message.data);
      return ok("state");
    },
    terminate: (reason: CloseReason) => void seen.push(["terminate", reason]),
    [FINISH]: (_: unknown, state: unknown, self: Self) => {
      seen.push(["finish", state]);
      return finish(state, self);
    },
  };
  return { handler, seen };
};

describe("after the peer's close frame", () => {
  test("finish is called once, after all messages; the end is decided when its promise settles", async () => {
    const { promise, resolve } = deferred<unknown>();
    const { handler, seen } = relaying(() => promise);
    const client = await connect(handler);
    client.send("a");
    client.close(4000);
    expect(seen).toEqual(["a", ["finish", "state"]]);
    resolve(ok("state"));
    expect(await client.ended).toMatchObject({ code: 4000, reason: "remote" });
    expect(seen).toEqual(["a", ["finish", "state"], ["terminate", "remote"]]);
  });

  test("a result that is no promise is enough", async () => {
    const { handler, seen } = relaying(ok);
    const client = await connect(handler);
    client.close(4000);
    expect(await client.ended).toMatchObject({ code: 4000, reason: "remote" });
    expect(seen).toEqual([
      ["finish", "state"],
      ["terminate", "remote"],
    ]);
  });

  test("meanwhile, the connection can send, and its own stop comes first", async () => {
    const { promise } = deferred<unknown>();
    const { handler } = relaying((_, self) => {
      self.push({ opcode: "text", data: "late answer" });
      self.stop("normal", { code: 4001 });
      return promise;
    });
    const client = await connect(handler);
    client.close(4000);
    expect((await client.receive()).data).toBe("late answer");
    client.advance(10_000);
    expect(await client.ended).toMatchObject({ code: 4001, reason: "normal" });
  });

  test("it is abandoned after closeTimeout", async () => {
    const { handler } = relaying(() => new Promise(() => undefined));
    const client = await connect(handler, undefined, { closeTimeout: 1_000 });
    client.close(4000);
    client.advance(2_000);
    expect(await client.ended).toMatchObject({ code: 4000, reason: "remote" });
    expect(client.errors).toEqual([expect.objectContaining({ message: expect.stringContaining("was abandoned") })]);
  });
});

test("after a loss, finish is called, too", async () => {
  const { handler, seen } = relaying(async () => ok("state"));
  const client = await connect(handler);
  client.drop();
  expect(await client.ended).toMatchObject({ reason: { error: { name: "ConnectionLost" } } });
  expect(seen[0]).toEqual(["finish", "state"]);
});

test.each([
  ["a shutdown", (client: { shutdown(): void }) => client.shutdown()],
  ["an idle timeout", (client: { advance(ms: number): void }) => client.advance(120_000)],
])("after %s, it is not called", async (_, end) => {
  const { handler, seen } = relaying(ok);
  const client = await connect(handler, undefined, { heartbeat: false });
  end(client);
  client.close();
  client.advance(60_000);
  await client.ended;
  expect(seen).toEqual([["terminate", expect.anything()]]);
});

test.each([
  ["a result", ok],
  ["a promise", async (state: unknown) => ok(state)],
])("finish is also called if the connection is observed, and not counted; it returns %s", async (_, finish) => {
  const { handler, seen } = relaying(finish);
  const world = new ObservedWorld(handler);
  world.receive({ opcode: OP.text, payload: "a" }, { opcode: OP.close, payload: "" });
  await nextTick();
  expect(seen).toEqual(["a", ["finish", "state"], ["terminate", "remote"]]);
  // `init`, `handleIn` and `terminate`.
  expect(world.counts.callbacks.count).toBe(3);
});
