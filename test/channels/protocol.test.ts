/** The protocol as a table: what a client sends, and what it receives. Written from Phoenix's documentation and phoenix.js. */
import { describe, expect, test } from "vitest";
import { accept, channel, noreply, push, refuse, reply, stop } from "websock-js/channels";
import { type Frame, serve } from "./phoenix-client.ts";

const Room = channel()({
  join: (payload, { topic }) =>
    topic === "room:secret"
      ? refuse("unauthorized")
      : topic === "room:full"
        ? refuse({ reason: "full", size: 3 })
        : accept(0, payload),
  handleIn: (event, payload, count: number, socket) => {
    if (event === "echo") return reply("ok", payload, count);
    if (event === "fail") return reply("error", { reason: "no" }, count);
    if (event === "count") return reply("ok", { count }, count + 1);
    if (event === "push") return push("pushed", payload, count);
    if (event === "shout") socket.broadcast("shouted", payload);
    if (event === "whisper") socket.broadcastFrom("shouted", payload);
    if (event === "stop") return stop("normal", count);
    if (event === "give up") return stop("tired", count);
    if (event === "throw") throw new Error("expected");
    return noreply(count);
  },
});

const join = (topic = "room:1", payload: unknown = {}, joinRef = "1", ref = joinRef): Frame => [
  joinRef,
  ref,
  topic,
  "phx_join",
  payload,
];
const ok = (ref: string | null, response: unknown = {}, topic = "room:1", joinRef: string | null = "1"): Frame => [
  joinRef,
  ref,
  topic,
  "phx_reply",
  { status: "ok", response },
];
const error = (ref: string | null, response: unknown, topic = "room:1", joinRef: string | null = "1"): Frame => [
  joinRef,
  ref,
  topic,
  "phx_reply",
  { status: "error", response },
];
const CLOSED: Frame = ["1", "1", "room:1", "phx_close", {}];
const CRASHED: Frame = ["1", "1", "room:1", "phx_error", { reason: "channel_crash" }];

const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];
/** A binary push of a client. */
const binary = (joinRef: string, ref: string, topic: string, event: string, ...payload: number[]): Uint8Array =>
  Uint8Array.of(
    0,
    joinRef.length,
    ref.length,
    topic.length,
    event.length,
    ...bytes(joinRef + ref + topic + event),
    ...payload,
  );

const TABLE: readonly (readonly [string, (Frame | Uint8Array)[], unknown[]])[] = [
  ["a heartbeat", [[null, "7", "phoenix", "heartbeat", {}]], [ok("7", {}, "phoenix", null)]],
  [
    "another message to the topic phoenix",
    [[null, "7", "phoenix", "other", {}]],
    [error("7", { reason: "unmatched topic" }, "phoenix", null)],
  ],
  ["a join", [join()], [ok("1")]],
  ["a join with a payload", [join("room:1", { a: 1 })], [ok("1", { a: 1 })]],
  ["a join whose ref differs", [join("room:1", {}, "4", "5")], [ok("5", {}, "room:1", "4")]],
  [
    "a join that is refused with a string",
    [join("room:secret")],
    [error("1", { reason: "unauthorized" }, "room:secret")],
  ],
  [
    "a join that is refused with an object",
    [join("room:full")],
    [error("1", { reason: "full", size: 3 }, "room:full")],
  ],
  ["a join of an unmatched topic", [join("hall:1")], [error("1", { reason: "unmatched topic" }, "hall:1", null)]],
  [
    "a join of a topic that is too long",
    [join(`room:${"x".repeat(500)}`)],
    [error("1", { reason: "unmatched topic" }, `room:${"x".repeat(500)}`, null)],
  ],
  ["a message, answered", [join(), ["1", "2", "room:1", "echo", { b: [2] }]], [ok("1"), ok("2", { b: [2] })]],
  [
    "a message, answered with an error",
    [join(), ["1", "2", "room:1", "fail", {}]],
    [ok("1"), error("2", { reason: "no" })],
  ],
  ["a message that is not answered", [join(), ["1", "2", "room:1", "ignore", {}]], [ok("1")]],
  ["a message without ref", [join(), ["1", null, "room:1", "echo", {}]], [ok("1")]],
  [
    "messages in order, with the state",
    [join(), ["1", "2", "room:1", "count", {}], ["1", "3", "room:1", "count", {}]],
    [ok("1"), ok("2", { count: 0 }), ok("3", { count: 1 })],
  ],
  ["a push", [join(), ["1", "2", "room:1", "push", "x"]], [ok("1"), ["1", null, "room:1", "pushed", "x"]]],
  ["a broadcast", [join(), ["1", "2", "room:1", "shout", [1]]], [ok("1"), [null, null, "room:1", "shouted", [1]]]],
  ["a broadcast to the others", [join(), ["1", "2", "room:1", "whisper", 1]], [ok("1")]],
  [
    "a message to a topic that is not joined",
    [["1", "2", "room:1", "echo", {}]],
    [error("2", { reason: "unmatched topic" }, "room:1", null)],
  ],
  [
    "a message with the join_ref of an earlier join",
    [join(), join("room:1", {}, "5"), ["1", "6", "room:1", "echo", {}]],
    [ok("1"), CLOSED, ok("5", {}, "room:1", "5")],
  ],
  ["a message without join_ref", [join(), [null, "2", "room:1", "echo", {}]], [ok("1"), ok("2")]],
  ["a leave", [join(), ["1", "2", "room:1", "phx_leave", {}]], [ok("1"), ok("2"), CLOSED]],
  ["a leave of a topic that is not joined", [["1", "2", "room:1", "phx_leave", {}]], [ok("2")]],
  [
    "a message after the leave",
    [join(), ["1", "2", "room:1", "phx_leave", {}], ["1", "3", "room:1", "echo", {}]],
    [ok("1"), ok("2"), CLOSED, error("3", { reason: "unmatched topic" }, "room:1", null)],
  ],
  ["a second join of a topic", [join(), join("room:1", {}, "5")], [ok("1"), CLOSED, ok("5", {}, "room:1", "5")]],
  ["a stop", [join(), ["1", "2", "room:1", "stop", {}]], [ok("1"), CLOSED]],
  ["a stop for another reason", [join(), ["1", "2", "room:1", "give up", {}]], [ok("1"), CRASHED]],
  [
    "a crash, and a join after it",
    [join(), ["1", "2", "room:1", "throw", {}], join("room:1", {}, "3")],
    [ok("1"), CRASHED, ok("3", {}, "room:1", "3")],
  ],
  [
    "an event of the protocol from a client",
    [join(), ["1", "2", "room:1", "phx_close", {}]],
    [ok("1"), error("2", { reason: "unknown event" })],
  ],
  ["a join of an empty topic", [join("")], [error("1", { reason: "unmatched topic" }, "", null)]],
  [
    "a binary message for a join whose ref is a number",
    [[1, 1, "room:1", "phx_join", {}] as never, binary("1", "2", "room:1", "ignore"), ["1", "3", "room:1", "echo", {}]],
    [
      [1, 1, "room:1", "phx_reply", { status: "ok", response: {} }],
      [1, "3", "room:1", "phx_reply", { status: "ok", response: {} }],
    ],
  ],
  [
    "a binary message, answered",
    [join(), binary("1", "2", "room:1", "echo", 0, 255)],
    [ok("1"), [1, 1, 1, 6, 2, ...bytes("12room:1ok"), 0, 255]],
  ],
  [
    "a binary push",
    [join(), binary("1", "2", "room:1", "push", 9)],
    [ok("1"), [0, 1, 6, 6, ...bytes("1room:1pushed"), 9]],
  ],
  [
    "a binary broadcast",
    [join(), binary("1", "2", "room:1", "shout", 9)],
    [ok("1"), [2, 6, 7, ...bytes("room:1shouted"), 9]],
  ],
  [
    "a binary message without payload",
    [join(), binary("1", "2", "room:1", "echo")],
    [ok("1"), [1, 1, 1, 6, 2, ...bytes("12room:1ok")]],
  ],
];

describe("a client receives, after", () => {
  test.each(TABLE)("%s", async (_name, sent, expected) => {
    const { send, received, client } = await serve({ "room:*": Room });
    send(...sent);
    expect(await received()).toEqual(expected);
    expect(await client.settled()).toBeUndefined();
  });
});

describe("malformed messages close the connection with 1007:", () => {
  test.each([
    ["no JSON", "{"],
    ["no array", "{}"],
    ["too few elements", '["1","1","room:1","phx_join"]'],
    ["a topic that is no string", '["1","1",1,"phx_join",{}]'],
    ["an event that is no string", '["1","1","room:1",null,{}]'],
    ["a ref that is too long", JSON.stringify(["1".repeat(256), "1", "room:1", "echo", {}])],
    ["a ref that is an object", '["1",{},"room:1","phx_join",{}]'],
    ["a ref that is not a finite number", '[1e400,"1","room:1","phx_join",{}]'],
    [
      "a broadcast of realtime-js whose payload is not UTF-8",
      Uint8Array.of(3, 1, 1, 6, 1, 0, 1, ...new TextEncoder().encode("11room:1x"), 0x22, 0xff, 0x22),
    ],
    ["an empty binary message", new Uint8Array()],
    ["a binary message of another kind", Uint8Array.of(1, 0, 0, 0, 0)],
    ["a binary message whose sizes exceed it", Uint8Array.of(0, 1, 1, 1, 200, 49, 49, 49)],
    ["a binary message that ends in its header", Uint8Array.of(0, 0, 0, 0)],
    ["a broadcast of realtime-js that is not JSON", Uint8Array.of(3, 0, 0, 1, 1, 0, 1, 120, 121, 123)],
  ])("%s", async (_name, data) => {
    const { client } = await serve({ "room:*": Room });
    client.send(data);
    expect(await client.closed).toMatchObject({ code: 1007 });
  });
});
