/** The handler of `test/isolate`, in workers. It does what the first element of each JSON message says. */
import { readFileSync } from "node:fs";
import { setTimeout as later } from "node:timers/promises";
import { sharedPubSub } from "websock-js/isolate";

const pubsub = sharedPubSub();

/** Tells the test something: it listens to `onNodesInfo`. */
const tell = (...told) => pubsub.broadcastToNodes(told);

const text = (data) => ({ opcode: "text", data });

const kept = [];

const commands = {
  echo: (value, state) => ["push", text(JSON.stringify(value)), state],
  async: async (value, state) => {
    await later(0);
    return ["push", text(JSON.stringify(value)), state];
  },
  nested: (_, state) => ["push", { opcode: "text", data: ["a", new TextEncoder().encode("ä"), [["c"]]] }, state],
  slices: (_, state) => ["push", { opcode: "binary", data: Buffer.from("from the pool").subarray(5) }, state],
  throw: (message) => {
    throw new RangeError(message);
  },
  stop: ([reason, options], state) => ["stop", reason, [options.code, options.text], text("last"), state],
  stopWithFunction: (_, state) => ["stop", () => undefined, state],
  invalid: () => "no result",
  exit: (code) => process.exit(code),
  uncaught: (message, state) => {
    setImmediate(() => {
      throw new Error(message);
    });
    return ["ok", state];
  },
  uncaughtNull: (_, state) => {
    setImmediate(() => {
      throw null;
    });
    return ["ok", state];
  },
  loop: (_, { shared }) => {
    Atomics.store(shared, 0, 1);
    for (;;);
  },
  /** Waits in a system call, which `worker.terminate()` does not interrupt. */
  block: (file, { shared }) => {
    Atomics.store(shared, 0, 1);
    readFileSync(file);
  },
  bomb: () => {
    for (;;) kept.push(Array.from({ length: 1_000 }, () => kept.length));
  },
  /** V8 aborts the process when an array that grows exceeds its limit. */
  growth: () => {
    const array = [];
    for (;;) array.push(array.length);
  },
  buffers: (megabytes, state) => {
    for (let i = 0; i < megabytes; i++) kept.push(Buffer.alloc(1_048_576, 1));
    return ["ok", state];
  },
  garbageBuffers: (megabytes, state) => {
    for (let i = 0; i < megabytes; i++) Buffer.alloc(1_048_576, 1);
    return ["push", text("done"), state];
  },
  /** Garbage that is old: each object lives as long as the next 20. */
  oldGarbage: (_, state) => {
    kept.push(Array.from({ length: 20_000 }, (_, i) => ({ i })));
    if (kept.length > 20) kept.shift();
    return ["push", text(String(process.memoryUsage().heapUsed)), state];
  },
  wait: async (_, state) => {
    tell("waiting");
    while (Atomics.load(state.shared, 0) === 0) await later(0);
    return ["ok", state];
  },
  pushMuch: (count, state, self) => {
    for (let i = 0; i < count; i++) self.push({ opcode: "binary", data: new Uint8Array(65_536) });
    return ["push", text(String(self.buffered)), state];
  },
  facts: (_, state, self) => [
    "push",
    text(JSON.stringify({ id: self.id, path: self.connection.path, buffered: self.buffered })),
    state,
  ],
  join: (topic, state, self) => {
    pubsub.topic(topic).subscribe(self);
    return ["push", text("joined"), state];
  },
  ordered: (topic, state, self) => {
    pubsub.topic(topic).publish(text("a"));
    self.push(text("b"));
    pubsub.topic(topic).publish(text("c"));
    return ["push", text("d"), state];
  },
  broadcastFunction: (topic, state) => {
    pubsub.topic(topic).broadcast(() => undefined);
    return ["ok", state];
  },
  broadcast: ([topic, info], state) => {
    pubsub.topic(topic).broadcast(info);
    return ["ok", state];
  },
};

export const init = async (arg, self) => {
  if (arg?.init === "exit") process.exit(4);
  if (arg?.init === "throw") throw new TypeError("init failed");
  if (arg?.init === "never") await new Promise(() => undefined);
  self.signal.addEventListener("abort", () => tell("aborted", self.signal.reason.name));
  const state = { ...arg };
  return arg?.greet === undefined ? ["ok", state] : ["push", text(arg.greet), state];
};

export const handleIn = ({ opcode, data }, state, self) => {
  if (opcode === "binary") return ["push", { opcode, data }, state];
  const [command, argument] = JSON.parse(data);
  return commands[command](argument, state, self);
};

export const handleInfo = (info, state) => ["push", text(`info ${JSON.stringify(info)}`), state];

export const terminate = (reason, _, self) => {
  const { error } = typeof reason === "string" ? {} : reason;
  tell("terminated", typeof reason === "string" ? reason : (error?.constructor?.name ?? typeof error), {
    message: String(error?.message ?? error),
    code: error?.code,
    id: self.id,
  });
};
