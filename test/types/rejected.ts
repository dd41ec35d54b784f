/** Compiled, never run: each `@ts-expect-error` fails to compile once the mistake below it is let through. */
import type { IncomingMessage } from "node:http";
import {
  type CloseReason,
  type ControlMessage,
  type DataMessage,
  type HandleResult,
  ok,
  push,
  stop,
  text,
  upgrade,
  type WebSock,
  type WebSockOptions,
} from "websock-js";
import { connect } from "websock-js/testing";
import { host, hosting, type WsSocket } from "websock-js/ws";
import * as Chat from "./fixtures/chat.ts";
import * as Echo from "./fixtures/echo.ts";
import * as NoArg from "./fixtures/no-arg.ts";

declare const req: IncomingMessage;
declare const user: Chat.User;
declare const maybeUser: Chat.User | undefined;
declare const maybeName: string | undefined;

const takesUser = { init: (user: Chat.User) => ok(user), handleIn: (_m: DataMessage, s: Chat.User) => ok(s) };
const init = () => ok(0);
const handleIn = (_message: DataMessage, n: number) => ok(n);

export const args = () => {
  // @ts-expect-error: the arg is missing
  upgrade(req, Echo);
  // @ts-expect-error: the arg is of another type
  upgrade(req, Echo, 5);
  // @ts-expect-error: the arg may be undefined
  upgrade(req, Echo, maybeName);
  // @ts-expect-error: options are no arg
  upgrade(req, Echo, { timeout: 5 });
  // @ts-expect-error: a property is missing
  upgrade(req, Chat, { user });
  // @ts-expect-error: a property may be undefined
  upgrade(req, Chat, { user: maybeUser, room: "lobby" });
  // @ts-expect-error: a property is misspelt
  upgrade(req, Chat, { user, room: "lobby", rom: "x" });

  // @ts-expect-error: the arg is missing
  upgrade(req, takesUser);
  // @ts-expect-error: `User | undefined` is no `User`: a forgotten check of who it is
  upgrade(req, takesUser, maybeUser);
  // @ts-expect-error: nor is null
  upgrade(req, takesUser, null);
  // @ts-expect-error: the arg is of another type
  upgrade(req, takesUser, "alice");
  // @ts-expect-error: the same for a handler that is written inline
  upgrade(req, { init: (user: Chat.User) => ok(user), handleIn: (_m, s) => ok(s) }, maybeUser);
  // @ts-expect-error: the same for an async one
  upgrade(req, { init: async (user: Chat.User) => ok(user), handleIn: async (_m, s) => ok(s) }, maybeUser);
  // @ts-expect-error: none of several
  upgrade(req, { init: (id: string | number) => ok(id), handleIn: (_m, id) => ok(id) }, true);
};

declare const webSocket: WsSocket;

/** Where `init` takes no arg, options in its place would have no effect. */
export const optionsForArg = () => {
  const options: WebSockOptions = { timeout: 5 };
  // @ts-expect-error: options are no arg
  upgrade(req, NoArg, { timeout: 5 });
  // @ts-expect-error: nor in a variable
  upgrade(req, NoArg, options);
  // @ts-expect-error: the same for a handler that is written inline
  upgrade(req, { init: () => ok(0), handleIn: (_m, n) => ok(n) }, { timeout: 5 });
  // @ts-expect-error: the same where init names an arg that it does not take
  upgrade(req, { init: (_, self) => ok(self.id), handleIn: (_m, id) => ok(id) }, { timeout: 5 });
  // @ts-expect-error: the same where it takes void
  upgrade(req, { init: (_: void) => ok(0), handleIn: (_m, n) => ok(n) }, { timeout: 5 });
  // @ts-expect-error: the same for an arg that may be left out
  upgrade(req, { init: (user?: Chat.User) => ok(user), handleIn: (_m, s) => ok(s) }, { timeout: 5 });
  // @ts-expect-error: the same in tests
  connect(NoArg, { timeout: 5 });
  // @ts-expect-error: the same for a socket of ws
  host(webSocket, req, NoArg, { timeout: 5 });
  // @ts-expect-error: the same with hosting()
  hosting().host(webSocket, req, NoArg, { timeout: 5 });
};

export const options = () => {
  // @ts-expect-error: no such option
  upgrade(req, NoArg, undefined, { tiemout: 5 });
  // @ts-expect-error: of the wrong type
  upgrade(req, NoArg, undefined, { timeout: "5" });
  // @ts-expect-error: a promise would let everybody in
  upgrade(req, NoArg, undefined, { origins: async () => false });
  // @ts-expect-error: one argument too many
  upgrade(req, NoArg, undefined, {}, {});
};

export const states = () => {
  // @ts-expect-error: init gives a number
  upgrade(req, { init, handleIn: (_m: DataMessage, s: string) => ok(s) });
  // @ts-expect-error: the same, async
  upgrade(req, { init: async () => ok(0), handleIn: async (_m: DataMessage, s: string) => ok(s) });
  // @ts-expect-error: init gives less than handleIn takes
  upgrade(req, { init: () => ok({ a: 1 }), handleIn: (_m: DataMessage, s: { a: number; b: number }) => ok(s) });
  // @ts-expect-error: init gives more cases than handleIn takes
  upgrade(req, { init: () => ok<string | null>(null), handleIn: (_m: DataMessage, s: string) => ok(s) });
  // @ts-expect-error: handleIn itself gives what it does not take
  upgrade(req, { init, handleIn: (_m: DataMessage, _s: number) => ok("x") });
  // @ts-expect-error: it gives what terminate does not take
  upgrade(req, { init, handleIn, terminate: (_r: CloseReason, s: string) => void s });
  // @ts-expect-error: handleControl takes another state
  upgrade(req, { init, handleIn, handleControl: (_m: ControlMessage, s: string) => ok(Number(s)) });
  // @ts-expect-error: handleControl gives another state
  upgrade(req, { init, handleIn, handleControl: () => ok("x") });
  // @ts-expect-error: handleInfo gives another state
  upgrade(req, { init, handleIn, handleInfo: (_info: string) => ok("x") });
  // @ts-expect-error: a state of another shape
  upgrade(req, { init: () => ok({ count: 0 }), handleIn: (_m, s) => ok({ cuont: s.count }) });
};

export const shapes = () => {
  // @ts-expect-error: no handleIn
  upgrade(req, { init });
  // @ts-expect-error: no init
  upgrade(req, { handleIn });
  // @ts-expect-error: no such callback
  upgrade(req, { init, handleIn, handleMessage: handleIn });
  // @ts-expect-error: init returns a bare state
  upgrade(req, { init: () => 0, handleIn });
  // @ts-expect-error: handleIn returns nothing
  upgrade(req, { init, handleIn: () => {} });
  // @ts-expect-error: handleIn resolves to nothing
  upgrade(req, { init, handleIn: async () => {} });
  // @ts-expect-error: one branch returns nothing
  upgrade(req, { init, handleIn: (m: DataMessage, n: number) => (m.opcode === "text" ? ok(n) : undefined) });
  // @ts-expect-error: a list that is no result
  upgrade(req, { init, handleIn: (_m: DataMessage, n: number) => ["noreply", n] as const });
  // @ts-expect-error: handleIn takes something else than messages
  upgrade(req, { init, handleIn: (_m: string, n: number) => ok(n) });
  // @ts-expect-error: handleIn takes only some of the messages
  upgrade(req, { init, handleIn: (_m: { opcode: "text"; data: string }, n: number) => ok(n) });
  // @ts-expect-error: terminate takes only some of the reasons
  upgrade(req, { init, handleIn, terminate: (_r: "normal" | "remote") => {} });
  // @ts-expect-error: a typed handler has all its types checked
  const wrong: WebSock<string, number> = { init: () => ok("x"), handleIn };
  return wrong;
};

export const results = (message: DataMessage): HandleResult<number>[] => [
  // @ts-expect-error: a string is no message
  push("hello", 1),
  // @ts-expect-error: nor is an object: json() makes one of it
  push({ type: "task" }, 1),
  // @ts-expect-error: closes are not pushed
  push({ opcode: "close" }, 1),
  // @ts-expect-error: a number is no data
  push(text(5), 1),
  // @ts-expect-error: a code is a number
  stop("normal", 1, { code: "1000" }),
  // @ts-expect-error: it is called text
  stop("normal", 1, { reason: "bye" }),
  // @ts-expect-error: the state comes last
  ["push", 1, message],
  // @ts-expect-error: a state of another type
  ok("x"),
];

export const reading = (message: DataMessage) => {
  // @ts-expect-error: it may be octets
  message.data.toUpperCase();
  // @ts-expect-error: messages are read only
  message.data = "x";
};
