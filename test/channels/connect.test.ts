/** Connecting: the version, the parameters, the token, what is shared, and the id. */
import { describe, expect, test } from "vitest";
import { UpgradeError } from "websock-js";
import { accept, type ChannelsOptions, channel, channels, refuse, reply } from "websock-js/channels";
import { PubSub } from "websock-js/pubsub";
import { connect, testPubSub } from "websock-js/testing";
import { z } from "zod";
import { codedTypeError } from "../../src/error-codes.ts";
import { selfOn } from "../pubsub/self-on.ts";
import { phoenixClient, quiet, REQUEST } from "./phoenix-client.ts";

const Room = channel<unknown>()({
  join: () => accept(0),
  handleIn: (_event, _payload, n, { shared }) => reply("ok", shared ?? {}, n),
});

const open = async (
  options: Partial<ChannelsOptions<typeof REQUEST, unknown>> = {},
  request: object = REQUEST,
  pubsub = testPubSub(),
) => {
  const socket = channels<typeof REQUEST, unknown>({ pubsub, channels: { "room:*": Room }, ...options });
  return { socket, ...(await phoenixClient(socket, request)) };
};

const base64url = (text: string): string => Buffer.from(text).toString("base64url");

describe("connect", () => {
  test.each([
    ["the parameters", "/socket?vsn=2.0.0&a=1&b=x%20y&a=2", {}, { a: "2", b: "x y" }, undefined],
    [
      "a token",
      "/?vsn=2.0.0",
      { "sec-websocket-protocol": `phoenix, base64url.bearer.phx.${base64url("töken/+?")}` },
      {},
      "töken/+?",
    ],
    [
      "a token in fetch headers",
      "/?vsn=2.0.0",
      new Headers({ "sec-websocket-protocol": `phoenix,base64url.bearer.phx.${base64url("t")}` }),
      {},
      "t",
    ],
    [
      "a long token",
      "/?vsn=2.0.0",
      { "sec-websocket-protocol": `phoenix, base64url.bearer.phx.${base64url("x".repeat(6_000))}` },
      {},
      "x".repeat(6_000),
    ],
    [
      "a token that is not base64url",
      "/?vsn=2.0.0",
      { "sec-websocket-protocol": "phoenix, base64url.bearer.phx.a*b" },
      {},
      undefined,
    ],
    ["a token in Latin-1", "/?vsn=2.0.0", { "sec-websocket-protocol": "phoenix, base64url.bearer.phx._w" }, {}, "ÿ"],
  ])("receives %s", async (_name, url, headers, params, token) => {
    const seen: unknown[] = [];
    await open(
      {
        connect: (its, { authToken, request }) => {
          seen.push(its, authToken, request.url);
          return accept(null);
        },
      },
      { url, headers },
    );
    expect(seen).toEqual([params, token, url]);
  });

  test.each([false, true])("what it accepts is shared by all channels (asynchronously: %s)", async (isAsync) => {
    const user = { name: "Ada" };
    const { send, received } = await open({ connect: () => (isAsync ? Promise.resolve(accept(user)) : accept(user)) });
    send(["1", "1", "room:1", "phx_join", {}], ["1", "2", "room:1", "who", {}]);
    expect((await received())[1]).toEqual(["1", "2", "room:1", "phx_reply", { status: "ok", response: user }]);
  });

  const rejection = async (options: Partial<ChannelsOptions<typeof REQUEST, unknown>>, request: object = REQUEST) => {
    const socket = channels<typeof REQUEST, unknown>({ pubsub: testPubSub(), channels: {}, ...options });
    return socket.connect(request as typeof REQUEST).then(
      () => undefined,
      (error: unknown) => error,
    );
  };

  test.each([
    ["a text", refuse("invalid token"), "invalid token"],
    ["an object", refuse({ secret: 1 }), "Forbidden"],
  ])("refuses with %s: 403", async (_name, result, message) => {
    const error = await rejection({ connect: () => result });
    expect(error).toBeInstanceOf(UpgradeError);
    expect(error).toMatchObject({ status: 403, message });
  });

  test("rejects with what the function throws, and for a result that is none", async () => {
    const expected = new Error("expected");
    expect(await rejection({ connect: () => Promise.reject(expected) })).toBe(expected);
    expect(await rejection({ connect: () => 1 as never })).toEqual(
      codedTypeError("WEBSOCK_INVALID_RESULT", '"connect" returned 1; it must return accept(…) or refuse(…)'),
    );
  });

  test.each(["/socket", "/socket?vsn=1.0.0", "/socket?vsn=3.0.0", "/socket?vsn=2"])(
    "refuses another version: %s",
    async (url) => {
      expect(await rejection({}, { url, headers: {} })).toMatchObject({
        status: 403,
        message: expect.stringMatching(/^version .* of the protocol is not supported; the client must send vsn=2.0.0$/),
      });
    },
  );

  test("says what is missing", async () => {
    expect(await rejection({}, 1 as never)).toEqual(
      codedTypeError("WEBSOCK_INVALID_ARGUMENT", 'connect() must receive a request, with "url" and "headers", not 1'),
    );
    const { errors } = await connect(channels({ pubsub: testPubSub(), channels: {} }), REQUEST as never);
    expect(errors).toEqual([
      codedTypeError("WEBSOCK_INVALID_ARGUMENT", "upgrade() must receive what connect() has returned, not an object"),
    ]);
  });
});

test("disconnect closes the connections with an id, and no others", async () => {
  const pubsub = testPubSub();
  const socket = channels<typeof REQUEST, { id: string }>({
    pubsub,
    connect: ({ id = "" }) => accept({ id }),
    id: ({ id }) => (id === "" ? undefined : `user:${id}`),
    channels: {},
  });
  const at = (id: string) => phoenixClient(socket, { url: `/?vsn=2.0.0&id=${id}`, headers: {} });
  const [first, second, other, nobody] = [await at("1"), await at("1"), await at("2"), await at("")];
  socket.disconnect("user:1");
  await quiet();
  expect((await first.client.ended).code).toBe(1001);
  expect((await second.client.ended).code).toBe(1001);
  for (const { send, received } of [other, nobody]) {
    send([null, "1", "phoenix", "heartbeat", {}]);
    expect(await received()).toHaveLength(1);
  }
});

describe("channels() refuses", () => {
  const pubsub = new PubSub();
  test.each<[string, unknown]>([
    ["unknown option", { pubsub, channels: {}, channel: {} }],
    ['option "pubsub" must be a PubSub', { channels: {} }],
    ['option "connect" must be a function', { pubsub, channels: {}, connect: 1 }],
    ['option "id" must be a function', { pubsub, channels: {}, id: "user" }],
    ['option "joinTimeout" must be above zero', { pubsub, channels: {}, joinTimeout: 0 }],
    ['option "maxTopics" must be a number', { pubsub, channels: {}, maxTopics: "1" }],
    ['"join" of the channel "room:*" must be a function', { pubsub, channels: { "room:*": {} } }],
    [
      '"handleIn" of the channel "lobby" must be an object with functions',
      { pubsub, channels: { lobby: { join: () => accept(0), handleIn: 1 } } },
    ],
    [
      '"params" of the channel "lobby" must be a Standard Schema',
      { pubsub, channels: { lobby: { join: () => accept(0), params: {} } } },
    ],
    [
      '"events.say" of the channel "lobby" must be a Standard Schema, or an object with Standard Schemas',
      { pubsub, channels: { lobby: { join: () => accept(0), events: { say: 1 } } } },
    ],
    [
      '"events.say" of the channel "lobby" must be a Standard Schema, or an object with Standard Schemas',
      { pubsub, channels: { lobby: { join: () => accept(0), events: { say: { reply: 1 } } } } },
    ],
    [
      '"events.say" of the channel "lobby" must be a Standard Schema, or an object with Standard Schemas',
      { pubsub, channels: { lobby: { join: () => accept(0), events: { say: { answer: z.string() } } } } },
    ],
    [
      '"joinReply" of the channel "lobby" must be a Standard Schema',
      { pubsub, channels: { lobby: { join: () => accept(0), joinReply: 1 } } },
    ],
    [
      '"handleIn" of the channel "lobby" has a function for "sya", which is not in "events"',
      {
        pubsub,
        channels: { lobby: { join: () => accept(0), events: { say: z.string() }, handleIn: { sya: () => {} } } },
      },
    ],
    [
      '"presence" of the channel "lobby" must be a Presence',
      { pubsub, channels: { lobby: { join: () => accept(0), presence: {} } } },
    ],
    ['option "channels" must be an object', { pubsub }],
    ['the channel "lobby" must be an object with callbacks', { pubsub, channels: { lobby: null } }],
    ["an asterisk must be the last character", { pubsub, channels: { "room:*:x": Room } }],
    ["a channel cannot have the topic", { pubsub, channels: { "": Room } }],
    ["a channel cannot have the topic", { pubsub, channels: { phoenix: Room } }],
  ])("%s", (message, options) => {
    expect(() => channels(options as never)).toThrow(message);
  });
});

test("an id must be a string of 1 to 450 characters", () => {
  const socket = channels({ pubsub: testPubSub(), channels: {} });
  for (const id of [undefined, "", "x".repeat(451)])
    expect(() => socket.disconnect(id as string)).toThrow("the id of a connection");
});

test.each([
  ["in a Durable Object", { home: {} }, /not possible in a Durable Object: .* hibernates/],
  ["where connections cannot send to each other", { crossConnection: false }, /do not work on this host/],
])("%s, the connection fails with an error that says why", async (_name, environment, message) => {
  const socket = channels({ pubsub: testPubSub(), channels: {} });
  const connected = await socket.connect(REQUEST);
  expect(() => socket.init(connected, selfOn(environment) as never)).toThrow(message);
});

test("connect is required if the channels expect a shared value, and what it returns must be a result", async () => {
  const pubsub = testPubSub();
  const ForUsers = channel<{ name: string }>()({ join: (_payload, { shared }) => accept(shared.name) });
  // @ts-expect-error: connect is missing
  channels({ pubsub, channels: { lobby: ForUsers } });
  channels({ pubsub, connect: () => accept({ name: "ben" }), channels: { lobby: ForUsers } });
  channels({ pubsub, channels: { lobby: channel()({ join: () => accept(0) }) } });
  for (const result of [undefined, null, 1, [], ["ok"]]) {
    const { connect } = channels({ pubsub, connect: () => result as never, channels: {} });
    await expect(connect(REQUEST)).rejects.toThrow('"connect" returned');
  }
});

test("the functions of channels() can be taken from it", async () => {
  const { broadcast, connect, disconnect } = channels({ pubsub: testPubSub(), channels: {} });
  await connect(REQUEST);
  expect(broadcast("lobby", "hello", {})).toBe(true);
  disconnect("user:1");
});

test("names of topics and events must be strings", () => {
  const { broadcast } = channels({ pubsub: testPubSub(), channels: {} });
  expect(() => broadcast("lobby", undefined as never, {})).toThrow("the event must be a string, not undefined");
  expect(() => broadcast(1 as never, "said", {})).toThrow("the topic must be a string, not 1");
});
