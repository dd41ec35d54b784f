/** Compiled, never run: what `self.send` takes is what `handleInfo` gets. */
import type { IncomingMessage } from "node:http";
import { type DataMessage, handler, ok, push, type Self, text, upgrade } from "websock-js";
import type * as Chat from "./fixtures/chat.ts";

declare const req: IncomingMessage;
declare const user: Chat.User;

const handleIn = (_message: DataMessage, n: number) => ok(n);

export const accepted = () => {
  upgrade(
    req,
    handler<"tick">()({
      init: (_: void, self) => {
        setInterval(() => self.send("tick"), 1000);
        return ok(0);
      },
      handleIn: (_message, ticks) => ok(ticks),
      handleInfo: (_tick, ticks) => push(text(String(ticks)), ticks + 1),
    }),
  );

  const typed = handler<{ type: "a" } | { type: "b"; n: number }>()({
    init: async (user: Chat.User, self) => {
      self.send({ type: "a" });
      return ok({ user, n: 0 });
    },
    handleIn: (_message, s, self) => (self.send({ type: "b", n: s.n }) ? ok(s) : ok({ ...s, n: 0 })),
    handleControl: (_message, s, self) => (self.send({ type: "a" }) ? ok(s) : ok(s)),
    handleInfo: (info, s) => ok(info.type === "a" ? s : { ...s, n: info.n }),
    terminate: (_reason, s, self) => void [self.id, self.buffered, self.signal.aborted, s.user.name],
  });
  upgrade(req, typed, user);
  upgrade(req, typed, user, { timeout: 5 });

  // Info follows from where `self` is annotated, or from handleInfo.
  upgrade(
    req,
    {
      init: (_name: string, self: Self<"tick">) => (self.send("tick") ? ok(0) : ok(0)),
      handleIn,
      handleInfo: (info, n) => ok(n + (info satisfies "tick").length),
    },
    "x",
  );
  upgrade(req, { init: () => ok(0), handleIn, handleInfo: (info: string, n) => ok(n + info.length) });

  // handleInfo may take more than is sent.
  upgrade(req, {
    init: (_: void, self: Self<string>) => (self.send("x") ? ok(0) : ok(0)),
    handleIn,
    handleInfo: (_info: string | number, n: number) => ok(n),
  });
  // Without Info there is nothing that handleInfo could get.
  upgrade(req, handler()({ init: () => ok(0), handleIn: (_message, n) => ok(n + 1) }));
  upgrade(req, handler<never>()({ init: () => ok(0), handleIn }), undefined, { timeout: 5 });
};

export const addresses = (everything: Self<string | number>, chat: Self<Chat.Info>) => {
  // Who takes more may stand for who takes less.
  const strings: Self<string> = everything;
  const nothing: Self = chat;
  strings.send("x");
  const gone: boolean = chat.send("kick");
  const {
    remoteAddress,
    subprotocol,
    closeCode,
  }: { remoteAddress: string | undefined; subprotocol: string | undefined; closeCode: number | undefined } =
    chat.connection;
  return { nothing, gone, remoteAddress, subprotocol, closeCode };
};

export const rejected = (strings: Self<string>) => {
  const handleInfo = (_tick: "tick", n: number) => ok(n);
  const typed = handler<"tick">()({
    init: (user: Chat.User) => ok(user),
    handleIn: (_m, s) => ok(s),
    handleInfo: (_tick, s) => ok(s),
  });
  const inline = {
    init: (_: void, self: Self<string | number>) => (self.send(1) ? ok(0) : ok(1)),
    handleIn,
    handleInfo: (_info: string, n: number) => ok(n),
  };
  // @ts-expect-error: handleInfo takes less than init may send
  upgrade(req, inline);
  // @ts-expect-error: the same inline
  upgrade(req, { init: inline.init, handleIn, handleInfo: (_info: string, n: number) => ok(n) });

  const narrow = {
    init: async (_: void, self: Self<string | number>) => (self.send(1) ? ok(0) : ok(0)),
    handleIn,
    handleInfo: async (_info: string, n: number) => ok(n),
  };
  // @ts-expect-error: the same for a handler that was written before, and is async
  upgrade(req, narrow);

  const elsewhere = {
    init: () => ok(0),
    handleIn: (_m: DataMessage, n: number, self: Self<string | number>) => (self.send(1) ? ok(n) : ok(0)),
    handleInfo: (_info: string, n: number) => ok(n),
  };
  // @ts-expect-error: the same where another callback sends
  upgrade(req, elsewhere);

  const other = {
    init: (_: void, self: Self<{ a: 1 }>) => (self.send({ a: 1 }) ? ok(0) : ok(1)),
    handleIn,
    handleInfo: (_info: { b: 1 }, n: number) => ok(n),
  };
  // @ts-expect-error: handleInfo takes something else altogether
  upgrade(req, other);

  // @ts-expect-error: no such info
  handler<"tick">()({ init: (_: void, self) => (self.send("tock") ? ok(0) : ok(0)), handleIn, handleInfo });
  // @ts-expect-error: infos may be sent, and there is no handleInfo: they would be dropped
  handler<"tick">()({ init: (_: void, self) => (self.send("tick") ? ok(0) : ok(0)), handleIn });
  // @ts-expect-error: handleInfo may not be undefined, either
  handler<"tick">()({ init: () => ok(0), handleIn, handleInfo: undefined });
  // @ts-expect-error: handleInfo takes another
  handler<"tick">()({ init: () => ok(0), handleIn, handleInfo: (info: number, n: number) => ok(n + info) });
  // @ts-expect-error: the arg is checked as ever
  upgrade(req, typed, undefined);
  // @ts-expect-error: options are no arg where init takes none
  upgrade(req, handler<"tick">()({ init: () => ok(0), handleIn, handleInfo }), { timeout: 5 });
  // @ts-expect-error: and so is the state
  handler<"tick">()({ init: () => ok(0), handleIn: (_m: DataMessage, s: string) => ok(s), handleInfo });
  // @ts-expect-error: without Info nothing can be sent
  upgrade(req, { init: (_: void, self) => (self.send("x") ? ok(0) : ok(0)), handleIn });

  // @ts-expect-error: who takes less may not stand for who takes more
  const everything: Self<string | number> = strings;
  // @ts-expect-error: facts are read only
  strings.connection.closeCode = 5;
  return everything;
};
