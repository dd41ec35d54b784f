/** Typed handlers: messages are checked by schemas, and otherwise everything is as for an ordinary handler. */
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, expect, test } from "vitest";
import type { CloseReason, Self } from "websock-js";
import { PubSub } from "websock-js/pubsub";
import { connect, type TestClient, testPubSub } from "websock-js/testing";
import { encoder, InvalidMessage, ok, push, pushAll, stop, type TypedSelf, typed } from "websock-js/typed";
import { deferred } from "../support/promises.ts";
import { anything, libraries, type Said, waiting } from "./schemas.ts";

const sent = ({ received }: TestClient): unknown[] => received.map(({ data }) => JSON.parse(String(data)));
const say = (client: TestClient, text: unknown): void => client.send(JSON.stringify({ type: "say", text }));
const said = (text: string, count: number): Said => ({ type: "said", text, count });

describe.each(Object.entries(libraries))("schemas of %s", (_library, schemas) => {
  const Echo = typed(schemas, {
    init: (greeting: string) => push(said(greeting, 0), 1),
    handleIn: ({ text }, count) => push(said(text, count), count + 1),
  });

  test("messages are checked and transformed on their way in, and checked on their way out", async () => {
    const client = await connect(Echo, "hello");
    say(client, " a ");
    say(client, "b");
    await client.settled();
    expect(sent(client)).toEqual([said("hello", 0), said("a", 1), said("b", 2)]);
    expect(client.received[0]!.opcode).toBe("text");
  });

  test.each([
    ["another text", "hello"],
    ["half of a JSON text", '{"type":'],
    ["nothing", ""],
    ["another type", '{"type":"other","text":"a"}'],
    ["a part that the schema refuses", '{"type":"say","text":" "}'],
    ["a binary message", new TextEncoder().encode('{"type":"say","text":"a"}')],
  ])("%s closes the connection with 1007, and without details", async (_what, data) => {
    const client = await connect(Echo, "hello");
    client.send(data);
    say(client, "too late");
    const { code, text, reason } = await client.ended;
    expect([code, text]).toEqual([1007, "invalid message"]);
    const { error } = reason as { error: InvalidMessage };
    expect(error).toBeInstanceOf(InvalidMessage);
    expect(error.issues.length).toBeGreaterThan(0);
    expect(sent(client)).toEqual([said("hello", 0)]);
    // It is the fault of the client, not of the application.
    expect(client.errors).toEqual([]);
  });

  test("what is not in the schema is not sent", async () => {
    const Secret = typed(schemas, {
      init: () => push({ ...said("a", 1), password: "secret" } as Said, 0),
      handleIn: (_message, n) => ok(n),
    });
    expect(sent(await connect(Secret))).toEqual([said("a", 1)]);
  });

  test("a message that does not fit is not sent: as a result it is an error, and self.push throws", async () => {
    const wrong = { type: "said", text: "a" } as Said;
    let self!: TypedSelf<Said>;
    const Wrong = typed(schemas, {
      init: (_: void, its) => {
        self = its;
        return ok(0);
      },
      handleIn: (_message, n) => pushAll([said("fits", 1), wrong], n),
    });
    const client = await connect(Wrong);
    expect(() => self.push(wrong)).toThrow(InvalidMessage);
    expect(() => self.stop("normal", { messages: [wrong] })).toThrow(/schema "out": count: /);
    expect(client.received).toEqual([]);
    say(client, "a");
    expect((await client.ended).code).toBe(1011);
    expect(client.received).toEqual([]);
    expect(client.errors).toEqual([expect.any(InvalidMessage)]);
  });
});

const schemas = libraries.zod;

describe("onInvalid", () => {
  test("decides, with the issues, the message, the state and self", async () => {
    const seen: unknown[] = [];
    const Patient = typed(schemas, {
      init: () => ok(0),
      handleIn: ({ text }, n) => push(said(text, n), n),
      onInvalid: async (issues, message, strikes, self) => {
        seen.push([issues.map(({ path }) => path), message, typeof self.id]);
        if (strikes === 1) return stop("too many", strikes, { code: 4000, text: "enough", messages: [said("bye", 2)] });
        return push(said("what?", strikes + 1), strikes + 1);
      },
    });
    const client = await connect(Patient);
    say(client, 5);
    say(client, "fits");
    client.send(new Uint8Array([1]));
    expect(await client.ended).toMatchObject({ code: 4000, text: "enough", reason: { error: "too many" } });
    expect(sent(client)).toEqual([said("what?", 1), said("fits", 1), said("bye", 2)]);
    expect(seen).toEqual([
      [[["text"]], { opcode: "text", data: '{"type":"say","text":5}' }, "string"],
      [[undefined], { opcode: "binary", data: new Uint8Array([1]) }, "string"],
    ]);
  });

  test("an error in it is an error of the handler", async () => {
    const Failing = typed(schemas, {
      init: () => ok(0),
      handleIn: (_message, n) => ok(n),
      onInvalid: () => {
        throw new Error("expected");
      },
    });
    const client = await connect(Failing);
    client.send("x");
    expect((await client.ended).code).toBe(1011);
    expect(client.errors).toHaveLength(1);
  });
});

describe("an asynchronous schema of what clients send", () => {
  test("lets no message, no invalid message and no info overtake another", async () => {
    const gates = [deferred(), deferred(), deferred()];
    const calls: unknown[] = [];
    const Slow = typed<string>()(
      { in: waiting((value) => gates[Number(value)]!.promise), out: anything },
      {
        init: (_: void, self) => {
          self.send("info");
          return ok(0);
        },
        handleIn: (message, n) => {
          calls.push(message);
          return ok(n);
        },
        handleInfo: (info, n) => {
          calls.push(info);
          return ok(n);
        },
        onInvalid: (_issues, { data }, n) => {
          calls.push(data);
          return ok(n);
        },
      },
    );
    const client = await connect(Slow);
    await client.settled();
    for (const data of ["0", "1", "not JSON", "2"]) client.send(data);
    client.info("last");
    gates[2]!.resolve();
    gates[1]!.resolve();
    await gates[1]!.promise;
    expect(calls).toEqual(["info"]);
    gates[0]!.resolve();
    await client.settled();
    expect(calls).toEqual(["info", 0, 1, "not JSON", 2, "last"]);
  });

  test.each([
    ["the server stops", (self: TypedSelf<unknown>) => self.stop("normal"), "normal"],
    ["the server shuts down", (_self: unknown, client: TestClient) => client.shutdown(), "shutdown"],
  ])("drops the message if meanwhile %s", async (_what, end, reason) => {
    const gate = deferred();
    const calls: unknown[] = [];
    let self!: TypedSelf<unknown>;
    const Slow = typed(
      { in: waiting(() => gate.promise), out: anything },
      {
        init: (_: void, its) => {
          self = its;
          return ok(0);
        },
        handleIn: (message, n) => {
          calls.push(message);
          return ok(n);
        },
        terminate: (reason) => void calls.push(reason),
      },
    );
    const client = await connect(Slow);
    client.send("1");
    end(self, client);
    gate.resolve();
    await client.ended;
    await client.settled();
    expect(calls).toEqual([reason]);
  });

  test("calls nothing after terminate, if it settles after closeTimeout", async () => {
    const gate = deferred();
    const calls: unknown[] = [];
    const Slow = typed(
      { in: waiting(() => gate.promise), out: anything },
      {
        init: () => ok(0),
        handleIn: (message, n) => {
          calls.push(message);
          return ok(n);
        },
        terminate: () => void calls.push("terminate"),
      },
    );
    const client = await connect(Slow, undefined, { closeTimeout: 1_000 });
    client.send("1");
    client.drop();
    client.advance(1_000);
    await client.ended;
    gate.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    expect(calls).toEqual(["terminate"]);
  });

  test("a message that the client sent before it closed is handled", async () => {
    const gate = deferred();
    const calls: unknown[] = [];
    const Slow = typed(
      { in: waiting(() => gate.promise), out: anything },
      {
        init: () => ok(0),
        handleIn: (message, n) => {
          calls.push(message);
          return ok(n);
        },
        terminate: (reason) => void calls.push(reason),
      },
    );
    const client = await connect(Slow);
    client.send("1");
    client.close(1000);
    gate.resolve();
    await client.ended;
    expect(calls).toEqual([1, "remote"]);
  });

  test("that rejects is an error of the handler", async () => {
    const Broken = typed(
      { in: waiting(() => Promise.reject(new Error("expected"))), out: anything },
      { init: () => ok(0), handleIn: (_message, n) => ok(n) },
    );
    const client = await connect(Broken);
    client.send("1");
    expect((await client.ended).code).toBe(1011);
    expect(client.errors).toEqual([new Error("expected")]);
  });

  test("keeps the AsyncLocalStorage context of the connection", async () => {
    const storage = new AsyncLocalStorage<string>();
    const gate = deferred();
    const contexts: unknown[] = [];
    const Context = typed(
      { in: waiting(() => gate.promise), out: anything },
      {
        init: () => ok(0),
        handleIn: (_message, n) => {
          contexts.push(storage.getStore());
          return ok(n);
        },
        terminate: () => void contexts.push(storage.getStore()),
      },
    );
    const clients = await Promise.all(["a", "b"].map((name) => storage.run(name, () => connect(Context))));
    for (const client of clients) client.send("1");
    storage.run("elsewhere", () => gate.resolve());
    for (const client of clients) {
      await client.settled();
      client.drop();
      await client.ended;
    }
    expect(contexts).toEqual(["a", "b", "a", "b"]);
  });
});

describe("callbacks and self", () => {
  test("state, infos, control frames and terminate are as for an ordinary handler", async () => {
    const seen: unknown[] = [];
    const All = typed<number>()(schemas, {
      init: (start: number) => ok(start),
      handleIn: ({ text }, n, self) => {
        self.send(n);
        return stop("restart", n + 1, { messages: [said(text, n)] });
      },
      handleControl: ({ opcode }, n) => push(said(opcode, n), n + 1),
      handleInfo: (info, n) => push(said("info", info), n + 1),
      terminate: (reason, n, self) => void seen.push(reason, n, self.push(said("too late", 0))),
    });
    const client = await connect(All, 5);
    client.ping();
    client.info(7);
    await client.settled();
    say(client, "a");
    expect((await client.ended).code).toBe(1012);
    const texts = client.received.filter(({ opcode }) => opcode === "text");
    expect(texts.map(({ data }) => JSON.parse(String(data)))).toEqual([said("ping", 5), said("info", 7), said("a", 7)]);
    expect(seen).toEqual(["normal", 8, false]);
  });

  test("self is one object for each connection, and sends typed messages", async () => {
    const selves: TypedSelf<Said>[] = [];
    const reasons: CloseReason[] = [];
    const Known = typed(schemas, {
      init: (_: void, self) => {
        selves.push(self);
        return ok(0);
      },
      handleIn: (_message, n, self) => {
        selves.push(self);
        self.push(said("now", n));
        return ok(n);
      },
      terminate: (reason, _n, self) => {
        selves.push(self);
        reasons.push(reason);
      },
    });
    const client = await connect(Known);
    say(client, "a");
    await client.settled();
    const [self] = selves;
    expect(self!.connection.path).toBe("/");
    expect(self!.buffered).toBe(0);
    expect(await self!.drained()).toBe(true);
    expect(self!.stop("kicked", { code: 4003, text: "kicked", messages: [said("bye", 1)] })).toBe(true);
    expect(self!.signal.aborted).toBe(true);
    expect(await client.ended).toEqual({ code: 4003, text: "kicked", reason: { error: "kicked" } });
    expect(sent(client)).toEqual([said("now", 0), said("bye", 1)]);
    expect(new Set(selves).size).toBe(1);
    expect(selves).toHaveLength(3);
    expect(reasons).toHaveLength(1);
  });

  test("an ordinary self of the connection sends what it likes", async () => {
    const pubsub = testPubSub();
    const Member = typed(schemas, {
      init: (_: void, self) => {
        pubsub.topic("all").subscribe(self);
        return ok(0);
      },
      handleIn: (_message, n) => ok(n),
    });
    const client = await connect(Member);
    const [plain] = pubsub.topic("all").members() as [Self<never>];
    plain.push({ opcode: "text", data: "maintenance" });
    expect(client.received).toEqual([{ opcode: "text", data: "maintenance" }]);
  });

  test("nothing but the state is kept, so that a connection continues after hibernation", async () => {
    const pushed: unknown[] = [];
    const selfOf = (life: string) =>
      ({ push: (message: unknown) => pushed.push([life, message]) > 0 }) as unknown as Self;
    const Sleeper = typed(schemas, {
      init: (name: string) => ok({ name, n: 0 }),
      handleIn: ({ text }, { name, n }, self) => {
        self.push(said(text, n));
        return ok({ name, n: n + 1 });
      },
    });
    const [, state] = (await Sleeper.init("ada", selfOf("first"))) as ["ok", { name: string; n: number }];
    const message = { opcode: "text", data: '{"type":"say","text":"a"}' } as const;
    expect(await Sleeper.handleIn(message, structuredClone(state), selfOf("second"))).toEqual([
      "ok",
      { name: "ada", n: 1 },
    ]);
    expect(pushed).toEqual([["second", encoder(schemas.out)(said("a", 0))]]);
  });

  test("a class instance keeps its this, and its name in reports", async () => {
    class Room {
      readonly #greeting = "hello";
      init() {
        return push(said(this.#greeting, 0), 0);
      }
      handleIn(_message: unknown, n: number) {
        return push(said(this.#greeting, n + 1), n + 1);
      }
    }
    const handler = typed(schemas, new Room());
    const client = await connect(handler);
    say(client, "a");
    await client.settled();
    expect(sent(client)).toEqual([said("hello", 0), said("hello", 1)]);
    expect(handler.name).toBe("Room");
  });

  test.each([
    ["a result of websock-js", ["push", { opcode: "text", data: "x" }, 0]],
    ["a stop of websock-js", ["stop", "normal", 0]],
    ["a reply", ["reply", "ok", [], 0]],
    ["nothing", undefined],
  ])("%s is no result of a typed handler", async (_what, result) => {
    const Wrong = typed(schemas, {
      init: () => ok(0),
      handleIn: () => result as unknown as ReturnType<typeof ok<number>>,
    });
    const client = await connect(Wrong);
    say(client, "a");
    expect((await client.ended).code).toBe(1011);
    expect(String(client.errors[0])).toContain("of websock-js/typed");
    expect(client.received).toEqual([]);
  });

  test("without handleInfo, infos are dropped and reported, as for an ordinary handler", async () => {
    const client = (await connect(
      typed(schemas, { init: () => ok(0), handleIn: (_message, n) => ok(n) }),
    )) as TestClient<unknown>;
    client.info("x");
    await client.settled();
    expect(client.errors).toHaveLength(1);
  });
});

describe("a result with a message that does not fit", () => {
  const wrong = { type: "said" } as Said;
  const { zod } = libraries;

  test("of init: terminate receives the state, as for an ordinary message that may not be sent", async () => {
    const ended: unknown[] = [];
    const Wrong = typed(zod!, {
      init: () => push(wrong, "state"),
      handleIn: (_message, state) => ok(state),
      terminate: (reason, state) => void ended.push(reason, state),
    });
    const client = await connect(Wrong);
    expect((await client.ended).code).toBe(1011);
    expect(ended).toEqual([{ error: expect.any(InvalidMessage) }, "state"]);
    expect(client.errors).toHaveLength(1);
  });

  test.each([
    ["push", (n: number) => push(wrong, n)],
    ["pushAll", (n: number) => pushAll([said("a", 1), wrong], n)],
    ["stop", (n: number) => stop("normal", n, { messages: [wrong] })],
  ])("of handleIn, %s: terminate receives its state", async (_name, result) => {
    const ended: unknown[] = [];
    const Wrong = typed(zod!, {
      init: () => ok(1),
      handleIn: async (_message, n) => result(n + 1),
      terminate: (reason, n) => void ended.push(reason, n),
    });
    const client = await connect(Wrong);
    say(client, "a");
    expect((await client.ended).code).toBe(1011);
    expect(sent(client)).toEqual([]);
    expect(ended).toEqual([{ error: expect.any(InvalidMessage) }, 2]);
  });

  test("is dropped unchecked after the end was decided", async () => {
    const gate = deferred();
    const Wrong = typed(zod!, {
      init: () => ok(0),
      handleIn: (_message, n, self) => {
        self.stop("normal");
        return gate.promise.then(() => push(wrong, n));
      },
    });
    const client = await connect(Wrong);
    say(client, "a");
    gate.resolve();
    expect(await client.ended).toMatchObject({ code: 1000, reason: "normal" });
    await client.settled();
    expect(client.errors).toEqual([]);
  });
});

test("results of websock-js, and others that are none, are errors that say so", async () => {
  const results = [
    ["push", { opcode: "text", data: "a" }, 0],
    ["stop", "x", { code: 4000 }],
    ["stop", "x", [4000, "text"], 0],
    ["ok"],
    undefined,
  ];
  for (const result of results) {
    const Wrong = typed(libraries.zod!, { init: () => result as never, handleIn: (_message, n) => ok(n) });
    const client = await connect(Wrong);
    expect((await client.ended).code).toBe(1011);
    expect(client.errors.map(String)).toEqual([expect.stringMatching(/WEBSOCK_INVALID_RESULT/)]);
  }
});

test("options in the place of an argument that init does not take are refused, as for an ordinary handler", async () => {
  const Echo = typed(libraries.zod!, { init: () => ok(0), handleIn: (_message, n) => ok(n) });
  await expect(connect(Echo, { origins: "*" } as never)).rejects.toThrow("pass options after arg");
});

describe("topics", () => {
  test("members receive typed messages, which are checked and encoded once", async () => {
    let checks = 0;
    const encode = encoder<typeof anything>({
      "~standard": {
        ...anything["~standard"],
        validate: (value) => {
          if (value !== undefined) checks++;
          return { value };
        },
      },
    });
    const pubsub = new PubSub();
    const lobby = pubsub.topic<string>("lobby");
    const Lobby = typed<string>()(schemas, {
      init: (_: void, self) => {
        lobby.subscribe(self);
        return ok(0);
      },
      handleIn: ({ text }, n, self) => {
        lobby.publish(encode(said(text, n)), { except: self });
        pubsub.send(pubsub.address(self), "to myself");
        return ok(n);
      },
      handleInfo: (info, n) => push(said(info, n), n),
    });
    const clients = await Promise.all([1, 2, 3].map(() => connect(Lobby)));
    say(clients[0]! as TestClient, "a");
    for (const client of clients) await client.settled();
    expect(clients.map((client) => sent(client as TestClient))).toEqual([
      [said("to myself", 0)],
      [said("a", 0)],
      [said("a", 0)],
    ]);
    expect(checks).toBe(1);
    expect(lobby.size).toBe(3);
  });

  test("a message that does not fit is not published", () => {
    const encode = encoder(schemas.out);
    expect(() => encode({ type: "said" } as Said)).toThrow(InvalidMessage);
    expect(encode(said("a", 1))).toEqual({ opcode: "text", data: JSON.stringify(said("a", 1)) });
  });
});

describe("what is refused when the handler is made", () => {
  const callbacks = { init: () => ok(0), handleIn: (_message: unknown, n: number) => ok(n) };
  test.each<[what: string, schemas: object, callbacks: object, message: RegExp]>([
    ["no schema", { in: schemas.in }, callbacks, /"out" must be a Standard Schema, not undefined/],
    ["another value as schema", { ...schemas, in: {} }, callbacks, /"in" must be a Standard Schema, not an object/],
    ["an unknown option", { ...schemas, output: 1 }, callbacks, /unknown option "output"; valid options are in, out/],
    ["a codec without opcode", { ...schemas, codec: JSON }, callbacks, /"codec" must have opcode/],
    ["no callbacks", schemas, {}, /"init" must be a function/],
    ["a misspelt callback", schemas, { ...callbacks, handleInvalid: () => ok(0) }, /unknown callback "handleInvalid"/],
    ["another value as onInvalid", schemas, { ...callbacks, onInvalid: 1007 }, /"onInvalid" must be a function/],
  ])("%s", (_what, wrong, callbacks, message) => {
    expect(() => typed(wrong as typeof schemas, callbacks as never)).toThrow(message);
  });

  test("no schemas at all", () => {
    expect(() => typed(undefined as unknown as typeof schemas, callbacks)).toThrow(/an object with in, out, codec/);
  });
});
