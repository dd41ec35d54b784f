// The handlers that are attacked. Their calls of `init` and `terminate` are counted.
import { setImmediate as turn } from "node:timers/promises";
import { handler, ok, push, stop } from "websock-js";

const MiB = 1024 * 1024;

/** The numbers of events by name: `"GET /path"` for requests that reach the app, `"init"`, reasons of `terminate`. */
export class Tally {
  counts = {};
  #waiting = new Set();

  add(name) {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
    for (const check of this.#waiting) check();
  }

  /** Resolves when the event has happened `count` times. */
  reaches(name, count) {
    return new Promise((resolve) => {
      const check = () => {
        if ((this.counts[name] ?? 0) < count) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }
}

/** A promise that a command resolves, for everything that waits for it. */
export class Gate {
  open;
  opened = new Promise((resolve) => {
    this.open = resolve;
  });
}

/** Invalid results of callbacks. */
const NONSENSE = {
  undefined: () => undefined,
  null: () => null,
  string: () => "ok",
  number: () => 42,
  symbol: () => Symbol("ok"),
  object: () => ({ state: 1 }),
  late: () => Promise.resolve("later"),
  "empty-list": () => [],
  "no-state": () => ["ok"],
  tag: () => ["okay", 1],
  "message-data": () => push({ opcode: "text", data: 5 }, 1),
  "message-opcode": () => push({ opcode: "frame", data: "x" }, 1),
  "close-code": () => ["stop", "normal", 1005, 1],
  // These throw when they are inspected.
  trap: () =>
    new Proxy(
      {},
      {
        get: () => {
          throw new Error("trapped");
        },
      },
    ),
  revoked: () => {
    const { proxy, revoke } = Proxy.revocable([], {});
    revoke();
    return proxy;
  },
};

/** @param peers receives the `self` of each connection that has a callback that never settles */
export const handlersFor = (tally, gate, peers) => {
  let running = 0;
  const throwIt = () => {
    throw new Error("thrown");
  };
  const rejectIt = () => Promise.reject(new Error("rejected"));
  const hang = (...args) => {
    peers.push(args.at(-1));
    return new Promise(() => {});
  };
  const echo = { init: () => ok(0), handleIn: (message, n) => push(message, n) };
  const handlers = {
    echo,
    sink: { init: () => ok(0), handleIn: (_message, n) => ok(n) },

    /** Takes an event-loop tick for each message. */
    slow: {
      init: () => ok(0),
      handleIn: async (_message, n) => {
        tally.add(++running > 1 ? "two at once" : "handled");
        await turn();
        running--;
        return ok(n + 1);
      },
    },

    /** Pushes about 512 MiB in messages of 1 MiB, one for each call of `handleInfo`. */
    fountain: handler()({
      init: (_arg, self) => {
        self.send("more");
        return ok(0);
      },
      handleIn: (_message, n) => ok(n),
      handleInfo: (_info, n, self) => {
        if (n < 512) self.send("more");
        return push({ opcode: "binary", data: Buffer.alloc(MiB, n) }, n + 1);
      },
    }),

    stopping: { ...echo, handleIn: (_message, n) => stop("normal", n, { code: 4000, text: "enough" }) },
    "init-waits": { ...echo, init: () => gate.opened.then(() => ok(0)) },

    throws: { ...echo, handleIn: throwIt },
    rejects: { ...echo, handleIn: rejectIt },
    hangs: { ...echo, handleIn: hang },
    "init-throws": { ...echo, init: throwIt },
    "init-rejects": { ...echo, init: rejectIt },
    "init-hangs": { ...echo, init: hang },
    "control-throws": { ...echo, handleControl: throwIt },
    "terminate-throws": { ...echo, handleIn: (_message, n) => stop("normal", n), terminate: throwIt },
    "terminate-hangs": { ...echo, terminate: hang },
  };
  for (const [name, make] of Object.entries(NONSENSE)) {
    handlers[`nonsense-${name}`] = { ...echo, handleIn: make };
    handlers[`init-nonsense-${name}`] = { ...echo, init: make };
  }
  return Object.fromEntries(Object.entries(handlers).map(([name, one]) => [name, counted(one, tally)]));
};

const counted = (one, tally) => ({
  ...one,
  init: (arg, self) => {
    tally.add("init");
    return one.init(arg, self);
  },
  terminate: (reason, state, self) => {
    tally.add(typeof reason === "string" ? reason : reason.error.name);
    return one.terminate?.(reason, state, self);
  },
});
