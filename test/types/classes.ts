/** Compiled, never run: class instances as handlers, generic ones too. */
import type { IncomingMessage } from "node:http";
import {
  type CloseReason,
  type DataMessage,
  type HandleResult,
  ok,
  push,
  type Self,
  stop,
  text,
  upgrade,
  type WebSock,
} from "websock-js";
import type { User } from "./fixtures/chat.ts";

declare const req: IncomingMessage;
declare const user: User;
declare const maybeUser: User | undefined;

/** Methods, not properties: they are compared as strictly. */
class Room {
  readonly #members = new Set<Self<string>>();
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
  init(user: User, self: Self<string>) {
    this.#members.add(self);
    return push(text(`${user.name}, this is ${this.name}`), { user });
  }
  async handleIn(message: DataMessage, state: { user: User }) {
    if (message.opcode === "binary") return stop("no binary", state, { code: 1003 });
    for (const member of this.#members) member.send(message.data);
    return ok(state);
  }
  handleInfo(said: string, state: { user: User }) {
    return push(text(said), state);
  }
  terminate(_reason: CloseReason, _state: { user: User }, self: Self<string>) {
    this.#members.delete(self);
  }
}

/** As declared: the compiler checks it where it is written. */
class Declared implements WebSock<User, number, "tick"> {
  init(_user: User, self: Self<"tick">) {
    self.send("tick");
    return ok(0);
  }
  handleIn(message: DataMessage, n: number) {
    return push(message, n + 1);
  }
  handleInfo(_tick: "tick", n: number): HandleResult<number> {
    return ok(n);
  }
}

class Reducer<State, Arg = void> {
  readonly #first: (arg: Arg) => State;
  readonly #reduce: (state: State, text: string) => State | Promise<State>;

  constructor(first: (arg: Arg) => State, reduce: (state: State, text: string) => State | Promise<State>) {
    this.#first = first;
    this.#reduce = reduce;
  }
  init(arg: Arg) {
    return ok(this.#first(arg));
  }
  async handleIn(message: DataMessage, state: State) {
    return message.opcode === "text" ? ok(await this.#reduce(state, message.data)) : stop("no binary", state);
  }
}

abstract class Base<State> {
  abstract init(user: User): HandleResult<State>;
  handleIn(message: DataMessage, state: State) {
    return push(message, state);
  }
}
class Derived extends Base<{ n: number }> {
  init() {
    return ok({ n: 1 });
  }
}

export const accepted = () => {
  upgrade(req, new Room("lobby"), user);
  upgrade(req, new Room("lobby"), user, { timeout: 5 });
  upgrade(req, new Declared(), user);
  upgrade(
    req,
    new Reducer(
      () => 0,
      (n, text) => n + text.length,
    ),
  );
  upgrade(
    req,
    new Reducer(
      (user: User) => ({ user, seen: [] as string[] }),
      async (s, text) => ({ ...s, seen: [...s.seen, text] }),
    ),
    user,
  );
  upgrade(req, new Derived());
};

/** A generic function around `upgrade` keeps its types. */
export const serve = <State>(first: State, next: (state: State) => State): void =>
  upgrade(req, { init: () => ok(first), handleIn: (_message, state) => ok(next(state)) });

export const around = <Arg, State>(inner: WebSock<Arg, State>): WebSock<Arg, State> => ({
  ...inner,
  handleIn: async (message, state, self) =>
    message.data === "ping" ? push(text("pong"), state) : inner.handleIn(message, state, self),
});

export const wrapped = () => {
  upgrade(req, around({ init: (user: User) => ok(user), handleIn: (_m, s) => ok(s) }), user);
  // @ts-expect-error: the arg is checked through it
  upgrade(req, around({ init: (user: User) => ok(user), handleIn: (_m, s) => ok(s) }), maybeUser);
};

class WrongState {
  init(_user: User) {
    return ok(1);
  }
  handleIn(_message: DataMessage, s: string) {
    return ok(s);
  }
}
class NarrowInfo {
  init(_user: User, self: Self<string | number>) {
    self.send(1);
    return ok(0);
  }
  handleIn(_message: DataMessage, n: number) {
    return ok(n);
  }
  handleInfo(_info: string, n: number) {
    return ok(n);
  }
}

export const rejected = () => {
  // @ts-expect-error: the arg is missing
  upgrade(req, new Room("lobby"));
  // @ts-expect-error: the arg may be undefined
  upgrade(req, new Room("lobby"), maybeUser);
  // @ts-expect-error: the class is no instance of it
  upgrade(req, Room, user);
  // @ts-expect-error: handleIn takes a state that init does not give
  upgrade(req, new WrongState(), user);
  // @ts-expect-error: handleInfo takes less than init may send
  upgrade(req, new NarrowInfo(), user);
  // @ts-expect-error: the arg follows from the constructor's
  upgrade(
    req,
    new Reducer(
      (user: User) => user.name,
      (s) => s,
    ),
  );
  const append = (state: number, text: string): string => state + text;
  // @ts-expect-error: the state follows from the constructor's
  upgrade(req, new Reducer(() => 0, append));
};
