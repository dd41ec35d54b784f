/** Payloads are checked by schemas, and have their types. */
import { type } from "arktype";
import * as valibot from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { accept, channel, noreply, reply, type StandardSchema } from "websock-js/channels";
import { z } from "zod";
import { type Frame, quiet, serve } from "./phoenix-client.ts";

/** A schema of objects with one string, synchronous or not. */
const withText = (isAsync: boolean): StandardSchema<unknown, { text: string }> => ({
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => {
      const { text } = (value ?? {}) as { text?: unknown };
      const result = typeof text === "string" ? { value: { text: text.trim() } } : { issues: [{ message: "no text" }] };
      return isAsync ? Promise.resolve(result) : result;
    },
  },
});

const JOIN: Frame = ["1", "1", "room:1", "phx_join", { text: " me " }];
const frames = (ref: string, status: string, response: unknown) => [
  "1",
  ref,
  "room:1",
  "phx_reply",
  { status, response },
];

describe.each([
  ["synchronous", false],
  ["asynchronous", true],
])("a schema that is %s", (_name, isAsync) => {
  const Room = channel()({
    params: withText(isAsync),
    events: { say: withText(isAsync), wave: "unchecked" },
    join: (payload) => {
      expectTypeOf(payload).toEqualTypeOf<{ text: string }>();
      return accept(payload.text, payload);
    },
    handleIn: {
      say: (payload, state) => {
        expectTypeOf(payload).toEqualTypeOf<{ text: string }>();
        expectTypeOf(state).toEqualTypeOf<string>();
        return reply("ok", { said: payload.text }, payload.text);
      },
      wave: (payload, state) => {
        expectTypeOf(payload).toEqualTypeOf<unknown>();
        return reply("ok", { waved: payload, state }, state);
      },
    },
  });

  test("passes on what it returns", async () => {
    const { send, received } = await serve({ "room:*": Room });
    send(JOIN, ["1", "2", "room:1", "say", { text: " hi " }], ["1", "3", "room:1", "wave", 1]);
    expect(await received()).toEqual([
      frames("1", "ok", { text: "me" }),
      frames("2", "ok", { said: "hi" }),
      frames("3", "ok", { waved: 1, state: "hi" }),
    ]);
  });

  test("answers an invalid payload with an error, and so a join", async () => {
    const { client, send, received } = await serve({ "room:*": Room });
    send(["1", "1", "room:1", "phx_join", {}]);
    await quiet();
    send(JOIN);
    send(
      ["1", "2", "room:1", "say", { text: 1 }],
      ["1", "3", "room:1", "say", null],
      ["1", "4", "room:1", "toString", {}],
    );
    expect(await received()).toEqual([
      frames("1", "error", { reason: "invalid payload" }),
      frames("1", "ok", { text: "me" }),
      frames("2", "error", { reason: "invalid payload" }),
      frames("3", "error", { reason: "invalid payload" }),
      frames("4", "error", { reason: "unknown event" }),
    ]);
    expect(client.errors).toEqual([]);
  });
});

test("a schema that throws ends the channel", async () => {
  const broken: StandardSchema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: () => {
        throw new Error("expected");
      },
    },
  };
  const Room = channel()({
    events: { say: broken },
    join: () => accept(0),
    handleIn: (_event, _payload, n) => reply("ok", {}, n),
  });
  const { client, send, received } = await serve({ "room:*": Room });
  send(JOIN, ["1", "2", "room:1", "say", {}]);
  expect(await received()).toEqual([
    frames("1", "ok", {}),
    ["1", "1", "room:1", "phx_error", { reason: "channel_crash" }],
  ]);
  expect(client.errors).toHaveLength(1);
});

describe("the schema of a reply", () => {
  const count = z.object({ count: z.number().transform(String) });
  const invalid = { count: "1" } as unknown as { count: number };
  const deferredRefs: (() => boolean)[] = [];
  const Room = channel()({
    joinReply: z.object({ welcome: z.string().toUpperCase() }),
    events: {
      count: { payload: z.object({ by: z.string().transform(Number) }), reply: count, error: z.string() },
      wrong: { reply: count, error: z.string() },
      late: { reply: count },
      wave: "unchecked",
    },
    join: (payload) => accept(0, { welcome: typeof payload === "string" ? payload : "you" }),
    handleIn: {
      count: ({ by }, total) => {
        expectTypeOf(by).toEqualTypeOf<number>();
        return by < 0 ? reply("error", "below zero", total) : reply("ok", { count: total + by }, total + by);
      },
      wrong: (status, total) =>
        status === "ok" ? reply("ok", invalid, total) : reply("error", invalid as unknown as string, total + 1),
      late: (payload, total, socket) => {
        const { ref } = socket;
        deferredRefs.push(() => socket.reply(ref!, "ok", payload));
        return noreply(total);
      },
      wave: (_payload, total) => reply("ok", { total }, total),
    },
  });

  test("applies to the replies with its status, and they contain what it returns", async () => {
    const { client, send, received } = await serve({ "room:*": Room });
    send(
      ["1", "1", "room:1", "phx_join", "me"],
      ["1", "2", "room:1", "count", { by: "2" }],
      ["1", "3", "room:1", "count", { by: "-1" }],
      ["1", "4", "room:1", "count", {}],
    );
    expect(await received()).toEqual([
      frames("1", "ok", { welcome: "ME" }),
      frames("2", "ok", { count: "2" }),
      frames("3", "error", "below zero"),
      frames("4", "error", { reason: "invalid payload" }),
    ]);
    expect(client.errors).toEqual([]);
  });

  test("a reply that does not match is reported, the client receives an error, and the channel lives", async () => {
    const { client, send, received } = await serve({ "room:*": Room });
    send(JOIN, ["1", "2", "room:1", "wrong", "ok"], ["1", "3", "room:1", "wrong", "error"]);
    send(["1", "4", "room:1", "wave", {}]);
    expect((await received()).slice(1)).toEqual([
      frames("2", "error", { reason: "invalid reply" }),
      frames("3", "error", { reason: "invalid reply" }),
      frames("4", "ok", { total: 1 }),
    ]);
    expect(client.errors.map(String)).toEqual([
      expect.stringMatching(/^TypeError: the reply "ok" to the event "wrong" of the topic "room:1" does not match/),
      expect.stringMatching(/^TypeError: the reply "error" to the event "wrong" of the topic "room:1" does not match/),
    ]);
  });

  test("applies to deferred replies", async () => {
    const { client, send, received } = await serve({ "room:*": Room });
    send(JOIN, ["1", "2", "room:1", "late", { count: 5 }], ["1", "3", "room:1", "late", {}]);
    await received();
    expect(deferredRefs.splice(0).map((answer) => answer())).toEqual([true, true]);
    expect(await received()).toEqual([
      frames("2", "ok", { count: "5" }),
      frames("3", "error", { reason: "invalid reply" }),
    ]);
    expect(client.errors).toHaveLength(1);
  });

  test("a reply to a join that does not match fails the join, and terminate receives its state", async () => {
    const ended: unknown[] = [];
    const Broken = channel()({
      joinReply: count,
      join: () => accept("state", invalid),
      terminate: (reason, state) => void ended.push(reason, state),
    });
    const { client, send, received } = await serve({ "room:*": Broken });
    send(JOIN);
    expect(await received()).toEqual([frames("1", "error", { reason: "join crashed" })]);
    expect(String(client.errors[0])).toMatch(/^TypeError: the reply to the join of "room:1" does not match its schema/);
    expect(ended).toEqual([{ error: client.errors[0] }, "state"]);
  });

  test("must be synchronous: otherwise the channel ends with an error that says so", async () => {
    const Broken = channel()({
      events: { say: { reply: withText(true) } },
      join: () => accept(0),
      handleIn: { say: (_payload, n) => reply("ok", { text: "hi" }, n) },
    });
    const { client, send, received } = await serve({ "room:*": Broken });
    send(JOIN, ["1", "2", "room:1", "say", {}]);
    expect((await received()).slice(1)).toEqual([["1", "1", "room:1", "phx_error", { reason: "channel_crash" }]]);
    expect(client.errors.map(String)).toEqual([
      "TypeError: the schema of a reply must be synchronous (WEBSOCK_ASYNC_SCHEMA)",
    ]);
  });

  test("is its type", () => {
    channel()({
      joinReply: count,
      // @ts-expect-error: count must be a number
      join: () => accept(0, { count: "1" }),
    });
    channel()({
      events: { say: { reply: count, error: z.enum(["late", "early"]) }, wave: z.string() },
      join: () => accept(0),
      handleIn: {
        // @ts-expect-error: count must be a number
        say: (_payload, n) => reply("ok", { count: "1" }, n),
        wave: (payload, n) => reply("ok", payload, n),
      },
    });
    channel()({
      events: { say: { reply: count, error: z.enum(["late", "early"]) } },
      join: () => accept(0),
      // @ts-expect-error: the error must be "late" or "early"
      handleIn: { say: (_payload, n) => (n > 1 ? reply("ok", { count: 1 }, n) : reply("error", "never", n)) },
    });
    channel()({
      events: { say: { reply: count, error: z.enum(["late", "early"]) } },
      join: () => accept(0),
      handleIn: async (event, payload, n) => {
        expectTypeOf(event).toEqualTypeOf<"say">();
        expectTypeOf(payload).toEqualTypeOf<unknown>();
        if (n > 2) return noreply(n);
        return n > 1 ? reply("ok", { count: 1 }, n) : reply("error", "late", n);
      },
    });
    // Literals keep their types, and what is read-only fits as well as what is not.
    channel()({
      joinReply: z.object({ tags: z.array(z.enum(["a", "b"])) }),
      events: { say: { reply: z.object({ kind: z.enum(["a", "b"]), tags: z.array(z.string()), at: z.date() }) } },
      join: () => accept(0, { tags: ["a"] }),
      handleIn: {
        say: async (_payload, n) => {
          const tags: string[] = [];
          return n > 1
            ? reply("ok", { kind: "a", tags, at: new Date() }, n)
            : reply("ok", { kind: "b", tags: ["x"], at: new Date() }, n);
        },
      },
    });
  });
});

test.each([
  ["zod", z.object({ text: z.string().trim().min(1) })],
  ["valibot", valibot.object({ text: valibot.pipe(valibot.string(), valibot.trim(), valibot.minLength(1)) })],
  ["arktype", type({ text: "string.trim" }).narrow(({ text }) => text.length > 0)],
] as const)("a schema of %s", async (_name, schema) => {
  const Room = channel()({
    events: { say: schema as StandardSchema<unknown, { text: string }> },
    join: () => accept(0),
    handleIn: { say: ({ text }, n) => reply("ok", { text }, n) },
  });
  const { send, received } = await serve({ "room:*": Room });
  send(JOIN, ["1", "2", "room:1", "say", { text: " hi " }], ["1", "3", "room:1", "say", { text: 1 }]);
  expect(await received()).toEqual([
    frames("1", "ok", {}),
    frames("2", "ok", { text: "hi" }),
    frames("3", "error", { reason: "invalid payload" }),
  ]);
});

test("the output of a schema of each library is the type of the payload", () => {
  channel()({
    events: {
      zod: z.object({ n: z.string().transform(Number) }),
      valibot: valibot.object({ n: valibot.number() }),
      arktype: type({ n: "number" }),
    },
    join: () => accept(0),
    handleIn: {
      zod: (payload, n) => {
        expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
        return reply("ok", {}, n);
      },
      valibot: (payload, n) => {
        expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
        return reply("ok", {}, n);
      },
      arktype: (payload, n) => {
        expectTypeOf(payload).toEqualTypeOf<{ n: number }>();
        return reply("ok", {}, n);
      },
    },
  });
});
