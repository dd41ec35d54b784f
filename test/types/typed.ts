/** Compiled, never run: typed handlers are inferred from their schemas, and mistakes do not compile. */
import type { IncomingMessage } from "node:http";
import { decode, encode } from "@msgpack/msgpack";
import { type } from "arktype";
import * as v from "valibot";
import * as untyped from "websock-js";
import { type Self, upgrade, type WebSock } from "websock-js";
import { type Address, Presence, PubSub } from "websock-js/pubsub";
import {
  type ClientMessage,
  encoder,
  type Immutable,
  type MessageCodec,
  ok,
  push,
  pushAll,
  type ServerMessage,
  stop,
  type TypedSelf,
  typed,
} from "websock-js/typed";
import { z } from "zod";

declare const req: IncomingMessage;

/** Whether two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => undefined;

const Command = z.discriminatedUnion("type", [
  z.object({ type: z.literal("add"), title: z.string().default("untitled") }),
  z.object({ type: z.literal("at"), at: z.string().transform((at) => new Date(at)) }),
]);
const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("task"), id: z.number() }),
  z.object({ type: z.literal("at"), at: z.date().transform((at) => at.toISOString()) }),
]);
type Command = { type: "add"; title: string } | { type: "at"; at: Date };
type Event = { type: "task"; id: number } | { type: "at"; at: Date };
const schemas = { in: Command, out: Event };

const Board = typed(schemas, {
  init: (user: string) => push({ type: "task", id: 1 }, { user, n: 0 }),
  handleIn: (command, state, self) => {
    same<typeof command, Command>(true);
    same<typeof state, { user: string; n: number }>(true);
    same<typeof self, TypedSelf<Immutable<Event>>>(true);
    self.push({ type: "at", at: new Date() });
    if (command.type === "add" && command.title === "bye")
      return stop("normal", state, { code: 4000, messages: [{ type: "task", id: 2 }] });
    if (command.type === "at")
      return pushAll(
        [
          { type: "at", at: command.at },
          { type: "task", id: 1 },
        ],
        state,
      );
    return ok({ ...state, n: state.n + 1 });
  },
  onInvalid: (issues, message, state) =>
    issues[0]?.path !== undefined && message.opcode === "text" ? ok(state) : stop("invalid", state),
  terminate: (_reason, state) => console.log(state.user),
});

export const accepted = () => {
  upgrade(req, Board, "ada");
  const handler: WebSock<string, { user: string; n: number }> = Board;
  // What travels differs from what the callbacks see: defaults and transforms are applied by the server.
  same<ClientMessage<typeof Board>, { type: "add"; title?: string | undefined } | { type: "at"; at: string }>(true);
  same<ServerMessage<typeof Board>, { type: "task"; id: number } | { type: "at"; at: string }>(true);
  return handler;
};

export const libraries = () => {
  typed(
    { in: v.object({ n: v.pipe(v.string(), v.transform(Number)) }), out: type({ n: "number" }) },
    { init: async () => ok([] as number[]), handleIn: async ({ n }, seen) => push({ n }, [...seen, n]) },
  );
};

export const infos = () => {
  const pubsub = new PubSub();
  const presence = new Presence<string>(pubsub);
  const topic = pubsub.topic<"tick">("topic");
  const Clock = typed<"tick">()(schemas, {
    init: (_: void, self) => {
      self.send("tick");
      topic.subscribe(self);
      topic.publish(encoder(Event)({ type: "task", id: 1 }), { except: self });
      presence.track(self, "topic", "key", "meta");
      const address: Address<"tick"> = pubsub.address(self);
      return ok({ address });
    },
    handleIn: (_command, state) => ok(state),
    handleInfo: (info, state) => (info === "tick" ? push({ type: "task", id: 1 }, state) : ok(state)),
  });
  upgrade(req, Clock);
  // @ts-expect-error: infos need handleInfo
  typed<"tick">()(schemas, { init: () => ok(0), handleIn: (_command, n) => ok(n) });
  typed<"tick">()(schemas, {
    // @ts-expect-error: not an info of this handler
    init: (_: void, self) => ok(self.send("tock")),
    handleIn: (_command, sent) => ok(sent),
    handleInfo: (_info, sent) => ok(sent),
  });
};

export const codecs = () => {
  const callbacks = { init: () => ok(0), handleIn: (_command: Command, n: number) => ok(n) };
  typed({ ...schemas, codec: { opcode: "binary", encode, decode } }, callbacks);
  const codec: MessageCodec = { opcode: "text", encode: JSON.stringify, decode: (data) => data.length };
  typed({ ...schemas, codec }, callbacks);
  // @ts-expect-error: a text is a string
  typed({ ...schemas, codec: { opcode: "text", encode, decode } }, callbacks);
  // @ts-expect-error: the opcode is missing
  typed({ ...schemas, codec: { encode, decode } }, callbacks);
};

export const rejected = (plain: Self, state: { user: string; n: number }) => {
  // @ts-expect-error: the arg is missing
  upgrade(req, Board);
  // @ts-expect-error: no schema
  typed({ in: Command, out: {} }, { init: () => ok(0), handleIn: (_command, n) => ok(n) });
  // @ts-expect-error: not a message
  typed(schemas, { init: () => push({ type: "tusk", id: 1 }, 0), handleIn: (_command, n) => ok(n) });
  // @ts-expect-error: a property is missing
  typed(schemas, { init: () => ok(0), handleIn: (_command, n) => push({ type: "task" }, n) });
  // @ts-expect-error: one of two is no message
  typed(schemas, { init: () => ok(0), handleIn: (_command, n) => pushAll([{ type: "task", id: 1 }, { id: 1 }], n) });
  // @ts-expect-error: several need pushAll
  typed(schemas, { init: () => ok(0), handleIn: (_command, n) => push([{ type: "task", id: 1 }], n) });
  // @ts-expect-error: the state is of another type
  typed(schemas, { init: () => ok(0), handleIn: (_command, n) => ok(String(n)) });
  // @ts-expect-error: results of websock-js carry untyped messages
  typed(schemas, { init: () => ok(0), handleIn: (_command, n) => untyped.push(untyped.text("x"), n) });
  typed(schemas, {
    init: () => ok(0),
    // @ts-expect-error: self pushes messages of the schema only
    handleIn: (_command, n, self) => ok(self.push(untyped.text("x")) ? n : n),
  });
  typed(schemas, {
    init: () => ok(0),
    // @ts-expect-error: and so does a stop
    handleIn: (_command, n) => stop("normal", n, { messages: [{ type: "tusk" }] }),
  });
  // @ts-expect-error: an encoder takes messages of its schema
  encoder(Event)({ type: "tusk" });
  // @ts-expect-error: an ordinary self sends untyped messages
  const self: TypedSelf<Event> = plain;
  // @ts-expect-error: only typed handlers have types of messages
  type Wrong = ClientMessage<typeof plain>;
  return [self, state, {} as Wrong];
};
