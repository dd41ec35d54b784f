/** Compiled, never run: what a user writes must compile as it stands, with as few annotations as it has here. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  binary,
  type DataMessage,
  type HandleResult,
  json,
  type OutMessage,
  ok,
  ping,
  pong,
  push,
  reply,
  stop,
  text,
  upgrade,
  type WebSock,
} from "websock-js";
import * as Chat from "./fixtures/chat.ts";
import * as Echo from "./fixtures/echo.ts";
import * as NoArg from "./fixtures/no-arg.ts";

declare const req: IncomingMessage & { user: Chat.User };
declare const res: ServerResponse;
declare const request: Request;
declare const user: Chat.User;
declare const maybeUser: Chat.User | undefined;

export const modules = () => {
  upgrade(req, Echo, "hello");
  upgrade(req, Echo, `hello ${req.user.name}`, { timeout: 60_000 });
  upgrade(req, Chat, { user, room: "lobby" });
  upgrade(req, Chat, { user: req.user, room: "lobby" }, { subprotocols: ["chat"], origins: "*" });
  upgrade({ req, res }, Echo, "whatever a framework hands to a route");
};

export const returns = () => {
  const response: Response = upgrade(request, Echo, "hello");
  const nothing: void = upgrade(req, Echo, "hello");
  return { response, nothing };
};

export const withoutArg = () => {
  upgrade(req, NoArg);
  upgrade(req, NoArg, undefined);
  upgrade(req, NoArg, undefined, { heartbeat: false, maxFrameSize: Number.POSITIVE_INFINITY });
  upgrade(req, { init: (_: void) => ok(0), handleIn: (_message, n) => ok(n) });
  upgrade(req, { init: (_: unknown) => ok(0), handleIn: (_message, n) => ok(n) });
  upgrade(req, { init: (_, self) => ok(self.id), handleIn: (_message, id) => ok(id) }, undefined, { timeout: 5 });
};

/** What takes anything may be given anything but an object with the name of an option. */
export const anyArg = () => {
  const init = (arg: unknown) => ok(arg);
  for (const arg of ["hello", 5, null, [1], req, () => 1, { user: 5 }, new Date()]) {
    upgrade(req, { init, handleIn: (_message, s) => ok(s) }, arg);
  }
  upgrade(req, { init, handleIn: (_message, s) => ok(s) }, { user: 5 });
  upgrade(req, { init: (arg: { timeout: number }) => ok(arg), handleIn: (_m, s) => ok(s) }, { timeout: 5 });
  const anything: WebSock<unknown, number> = { init: () => ok(0), handleIn: (_message, n) => ok(n) };
  upgrade(req, anything, req.user);
};

/** The arg of an inline `init` with a second parameter, which TypeScript reads after the arg. */
export const inlineInit = () => {
  upgrade(req, { init: (user: string, self) => ok(user + self.id), handleIn: (_message, s) => ok(s) }, "ada");
  upgrade(
    req,
    { init: (arg: { user: string }, self) => ok(arg.user + self.id), handleIn: (_m, s) => ok(s) },
    { user: "ada" },
  );
  upgrade(req, { ...NoArg, init: (user: string, self) => ok({ count: user.length + self.buffered }) }, "ada");
};

/** Only `handle` and a capital letter are reserved; `name` is the handler's in reports. */
export const otherProperties = () => {
  const handler = { name: "chat", handled: 0, handler: null, init: () => ok(0), handleIn: (_: DataMessage) => ok(0) };
  upgrade(req, handler);
  upgrade(req, { name: "chat", init: () => ok(0), handleIn: (_message, n) => ok(n) });
};

export const optionalArg = () => {
  const handler = {
    init: (user?: Chat.User) => ok(user),
    handleIn: (_: DataMessage, s: Chat.User | undefined) => ok(s),
  };
  upgrade(req, handler);
  upgrade(req, handler, user);
  upgrade(req, handler, maybeUser);
  upgrade(req, handler, maybeUser, { timeout: 1 });
};

export const args = () => {
  upgrade(req, { init: (id: string | number) => ok(id), handleIn: (_message, id) => ok(id) }, 7);
  upgrade(req, { init: (id: string | null) => ok(id), handleIn: (_message, id) => ok(id) }, null);
  upgrade(req, { init: (a: { room: string; n?: number }) => ok(a.room), handleIn: (_m, s) => ok(s) }, { room: "x" });
};

/** The state of an inline handler follows from `init`. */
export const inferredStates = () => {
  upgrade(req, { init: () => ok(0), handleIn: (message, n) => push(message, n + 1) });
  upgrade(req, { init: () => ok({ count: 0 }), handleIn: (_message, { count }) => ok({ count: count + 1 }) });
  upgrade(req, { init: () => ok([] as string[]), handleIn: (m, seen) => ok([...seen, String(m.data)]) });
  upgrade(req, { init: () => ok(new Map<string, number>()), handleIn: (_m, map) => ok(map.set("a", 1)) });
  upgrade(req, { init: () => push(text("hi"), true), handleIn: (m, flag) => push(m, !flag) });
  upgrade(req, { init: () => ok(undefined), handleIn: (message) => push(message, undefined) });
  upgrade(req, { init: () => ok(null), handleIn: (message, nothing) => push(message, nothing) });
  upgrade(req, { init: (user: Chat.User) => ok({ user }), handleIn: (_m, s) => push(text(s.user.name), s) }, user);
};

export const branches = () => {
  upgrade(req, {
    init: () => ok(0),
    handleIn: (message, n) => {
      if (n > 100) return stop("restart", n);
      if (message.opcode === "text") return push([text("you said"), message], n + 1);
      if (message.data.length > 5) return stop("kicked", n, { code: 4001, text: "too much", messages: [text("bye")] });
      return ok(n);
    },
  });
  upgrade(
    req,
    {
      init: (user: Chat.User | null) => (user === null ? stop("nobody", null) : ok({ user, n: 0 })),
      handleIn: (_message, s) => ok(s === null ? s : { ...s, n: s.n + 1 }),
    },
    user,
  );
};

export const asynchronous = () => {
  upgrade(req, { init: async () => ok(0), handleIn: (_message, n) => ok(n + 1) });
  upgrade(req, { init: () => ok(0), handleIn: async (_message, n) => ok(n + 1) });
  upgrade(
    req,
    {
      init: async (user: Chat.User) => ok({ user, count: 0 }),
      handleIn: async (m, s) => (m.data === "bye" ? stop("normal", s) : push(m, { ...s, count: s.count + 1 })),
      terminate: async (_reason, s) => void (await Promise.resolve(s.count)),
    },
    user,
  );
  // Now and then only.
  upgrade(req, {
    init: () => ok(0),
    handleIn: (m, n) => (m.data === "slow" ? Promise.resolve(n).then((k) => push(m, k + 1)) : ok(n)),
    terminate: () => {},
  });
};

type Phase = { tag: "waiting" } | { tag: "ready"; since: number };

export const unions = () => {
  upgrade(req, {
    init: (): HandleResult<Phase> => ok({ tag: "waiting" }),
    handleIn: (_message, phase) => ok(phase.tag === "ready" ? phase : { tag: "ready", since: 1 }),
  });
  upgrade(req, { init: () => ok<Phase>({ tag: "waiting" }), handleIn: (_m, phase) => ok(phase) });
  // What each callback gives may be narrower than what all of them take.
  upgrade(req, {
    init: (): HandleResult<{ tag: "waiting" }> => ok({ tag: "waiting" }),
    handleIn: (_m: DataMessage, _phase: Phase): HandleResult<{ tag: "ready"; since: number }> =>
      ok({ tag: "ready", since: 1 }),
  });
  upgrade(req, { init: () => ok(1), handleIn: (_m: DataMessage, s: number | string) => ok(String(s)) });
  upgrade(req, {
    init: () => ok({ user: null as Chat.User | null }),
    handleIn: (_m, s) => ok({ user: s.user ?? user }),
  });
  upgrade(req, { init: (): HandleResult<"a" | "b"> => ok("a"), handleIn: (_m, s) => ok(s === "a" ? "b" : s) });
};

export const typed = () => {
  const counting: WebSock<Chat.User, number> = { init: () => ok(0), handleIn: (_message, n) => ok(n + 1) };
  upgrade(req, counting, user);
  const checked = {
    init: (user: Chat.User) => ok({ user, n: 0 }),
    handleIn: (_message, s) => ok({ ...s, n: s.n + 1 }),
    terminate: (reason, s) => console.log(reason, s.user.name),
  } satisfies WebSock<Chat.User, { user: Chat.User; n: number }>;
  upgrade(req, checked, user);
};

export const results = (message: DataMessage) => {
  const pushed: OutMessage = message;
  const all: HandleResult<number>[] = [
    ok(1),
    push(message, 1),
    push([message, message], 1),
    push([], 1),
    push(json({ type: "task" }), 1),
    push(text(["a", [new Uint8Array(1), new ArrayBuffer(1)]]), 1),
    push([binary("x"), ping(), pong(new Uint8Array(3)), { opcode: "text" }, { opcode: "ping", data: null }], 1),
    reply("whatever", message, 1),
    stop("normal", 1),
    stop(new Error("any reason"), 1),
    stop("x", 1, {}),
    stop("x", 1, { code: 4000 }),
    stop("x", 1, { text: "bye" }),
    stop("x", 1, { messages: message }),
    stop("x", 1, { code: 4000, text: null, messages: [message] }),
    ["ok", 1],
    ["push", message, 1],
    ["reply", "whatever", [message], 1],
    ["stop", "normal", 1],
    ["stop", "x", 4000, 1],
    ["stop", "x", [4000], 1],
    ["stop", "x", [4000, "bye"], [message], 1],
  ];
  return { pushed, all };
};

/** `Uint8Array<ArrayBuffer>`: what Blob, WebCrypto and fetch ask for. */
export const octets = (message: DataMessage) => {
  if (message.opcode === "text") return [message.data.toUpperCase()];
  const digest: Promise<ArrayBuffer> = crypto.subtle.digest("SHA-256", message.data);
  return [new Blob([message.data]), new Response(message.data), digest];
};
