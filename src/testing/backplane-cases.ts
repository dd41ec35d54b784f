/** `backplaneCases`: what every backplane must do, as cases for any test runner. */

import { systemTimers } from "../adapters/shared/timers.ts";
import type { Backplane, BackplaneConnection } from "../pubsub/backplane.ts";

/** A backplane to be tested, and what is needed to test it. */
export interface BackplaneTarget {
  /** Creates a backplane. Called for each node of a case; all must be connected to the same engine. */
  backplane(): Backplane | Promise<Backplane>;
  /**
   * Makes the engine unreachable for all nodes, in a way that they notice, and returns a function that makes it
   * reachable again. Cases about interruptions are left out if it is missing.
   */
  interrupt?(): Promise<() => void | Promise<void>>;
  /** How long a case waits for something that should happen, in milliseconds. Default: 10 000. */
  readonly timeout?: number;
}

/** One case. */
export interface BackplaneCase {
  /** What the case tests. */
  readonly name: string;
  /** Resolves if the backplane behaves as it should; rejects with an error that says what it did instead. */
  run(): Promise<void>;
}

/**
 * Returns cases that test the contract of `Backplane`: delivery, order, the confirmation of subscriptions, names and
 * sizes, interruptions, and the end. It needs no test runner of its own:
 *
 * ```ts
 * import { backplaneCases } from "websock-js/testing";
 * import { test } from "vitest"; // or from "node:test"
 *
 * for (const { name, run } of backplaneCases({ backplane: () => myBackplane() })) test(name, run);
 * ```
 *
 * Each case connects nodes of its own, with channels of its own, and closes them. Cases can run at the same time if
 * there is no `interrupt`.
 *
 * @param target how to create and to interrupt the backplane
 */
export const backplaneCases = (target: BackplaneTarget): readonly BackplaneCase[] =>
  CASES.filter(({ interrupts }) => !interrupts || target.interrupt !== undefined).map(({ name, test }) => ({
    name,
    run: async () => {
      const context = new Context(target);
      const steps = [() => test(context), () => context.check(), () => context.restored(), () => context.close()];
      // A case that has failed ends its nodes, too. Only its first error is reported.
      const errors: unknown[] = [];
      for (const step of steps) {
        try {
          await step();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length > 0) throw errors[0];
    },
  }));

type Event = "up" | "away" | "away forever";

interface Received {
  readonly channel: string;
  readonly bytes: Uint8Array;
}

const fail = (message: string): never => {
  throw new Error(message);
};

const expect = (condition: boolean, message: string): void => {
  if (!condition) fail(message);
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Of large messages the beginning is enough. */
const textOf = (bytes: Uint8Array): string => decoder.decode(bytes.subarray(0, 10_000));
const bytesOf = (text: string): Uint8Array => encoder.encode(text);
const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** The nodes of one case. */
class Context {
  private static cases = 0;
  private readonly target: BackplaneTarget;
  private readonly nodes: Node[] = [];
  private readonly topics = `${globalThis.crypto.randomUUID()}:${Context.cases++}`;
  private restore: (() => void | Promise<void>) | undefined;

  constructor(target: BackplaneTarget) {
    this.target = target;
  }

  /** A channel that no other case uses. */
  channel(name: string | number): string {
    return `t:${this.topics}:${name}`;
  }

  /** Connects a node without waiting until it is up. */
  async connecting(from?: Backplane): Promise<Node> {
    const backplane = from ?? (await this.target.backplane());
    const node = new Node(backplane, this.target.timeout ?? 10_000);
    this.nodes.push(node);
    return node;
  }

  /** Connects a node, and waits until it is up. */
  async connect(from?: Backplane): Promise<Node> {
    const node = await this.connecting(from);
    await node.isUp();
    return node;
  }

  /** Creates a backplane without connecting a node. */
  backplane(): Backplane | Promise<Backplane> {
    return this.target.backplane();
  }

  /** Interrupts the engine, and waits until all nodes are away. */
  async interrupt(): Promise<void> {
    this.restore = await this.target.interrupt!();
    for (const node of this.nodes) await node.until(() => !node.up, "link.away()");
  }

  /** Ends the interruption, and waits until all nodes are up. */
  async resume(): Promise<void> {
    await this.restored();
    for (const node of this.nodes) if (!node.closed) await node.isUp();
  }

  /** Ends the interruption. */
  async restored(): Promise<void> {
    const { restore } = this;
    this.restore = undefined;
    await restore?.();
  }

  /** What holds for each node in each case. */
  check(): void {
    for (const node of this.nodes) node.check();
  }

  /** Closes all nodes, also if one of them cannot be closed. */
  async close(): Promise<void> {
    const outcomes = await Promise.allSettled(this.nodes.map((node) => node.close()));
    const failed = outcomes.find((outcome) => outcome.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }
}

/** One node: a link that records what a connection does. */
class Node {
  readonly id: string = globalThis.crypto.randomUUID();
  readonly own = `n:${this.id}`;
  readonly received: Received[] = [];
  readonly events: Event[] = [];
  readonly connection: BackplaneConnection;
  /** Whether the last event was `up`. */
  up = false;
  closed = false;
  /** How often each publish was settled, and with what. */
  readonly settlements: boolean[][] = [];

  private readonly asked = new Set<string>();
  private readonly texts = new Map<string, string[]>();
  private isSilent = false;
  private readonly problems: string[] = [];
  private readonly timeout: number;
  /** Of the calls of `until`. */
  private readonly waiting = new Set<() => void>();

  constructor(backplane: Backplane, timeout: number) {
    this.timeout = timeout;
    let hasReturned = false;
    const record = (what: string, run: () => void): void => {
      if (!hasReturned) this.problems.push(`${what} was called before connect() had returned`);
      if (this.isSilent) this.problems.push(`${what} was called after close() had resolved`);
      run();
      this.wake();
    };
    this.connection = backplane.connect({
      node: this.id,
      receive: (channel, bytes) =>
        record("link.receive()", () => {
          if (!(bytes instanceof Uint8Array)) this.problems.push("link.receive() was called without a Uint8Array");
          if (!this.asked.has(channel))
            this.problems.push(`link.receive() with ${shown(channel)}, never subscribed to`);
          this.received.push({ channel, bytes });
          const texts = this.texts.get(channel);
          if (texts === undefined) this.texts.set(channel, [textOf(bytes)]);
          else texts.push(textOf(bytes));
        }),
      up: () =>
        record("link.up()", () => {
          this.events.push("up");
          this.up = true;
        }),
      away: (_, forever) =>
        record("link.away()", () => {
          this.events.push(forever === true ? "away forever" : "away");
          this.up = false;
        }),
      warn: () => record("link.warn()", () => undefined),
    });
    hasReturned = true;
  }

  subscribe(...channels: readonly string[]): Promise<void> {
    for (const channel of channels) this.asked.add(channel);
    return this.within(this.connection.subscribe(channels), `subscribe() of ${channels.length} channels to resolve`);
  }

  publish(channel: string, bytes: Uint8Array | string): void {
    const settlements: boolean[] = [];
    this.settlements.push(settlements);
    this.connection.publish(channel, typeof bytes === "string" ? bytesOf(bytes) : bytes, (ok) => {
      settlements.push(ok);
      this.wake();
    });
  }

  /** What was received on a channel, as text. */
  on(channel: string): readonly string[] {
    return this.texts.get(channel) ?? [];
  }

  isUp(): Promise<void> {
    return this.until(() => this.up, "link.up()");
  }

  receives(count: number): Promise<void> {
    return this.until(() => this.received.length >= count, `${count} messages`);
  }

  /** Waits until a message to the node's own channel came back: what was sent before has arrived, as a rule. */
  async roundTrip(): Promise<void> {
    await this.subscribe(this.own);
    const text = `round trip ${this.settlements.length}`;
    this.publish(this.own, text);
    await this.until(() => this.on(this.own).includes(text), "the message to its own channel");
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    while (!condition()) await this.within(new Promise<void>((wake) => this.waiting.add(wake)), what);
  }

  private wake(): void {
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const wake of waiting) wake();
  }

  check(): void {
    const later = new Map<string, number>();
    for (const { channel, bytes } of this.received) {
      const index = later.get(channel) ?? 0;
      later.set(channel, index + 1);
      if (textOf(bytes) !== this.on(channel)[index]) fail("the memory of a received message was modified later");
    }
    const [problem] = this.problems;
    if (problem !== undefined) fail(problem);
    if (this.settlements.some((each) => each.length > 1)) fail("a publish was settled more than once");
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.within(this.connection.close(), "close() to resolve");
    this.isSilent = true;
  }

  private within<T>(promise: Promise<T>, what: string): Promise<T> {
    const result = new Promise<T>((resolve, reject) => {
      const timer = systemTimers.startTimeout(() => {
        const seen = `${this.received.length} messages, events: ${this.events.join(", ") || "none"}`;
        reject(new Error(`waited ${this.timeout} ms for ${what}; seen so far: ${seen}`));
      }, this.timeout);
      promise.then(resolve, reject).finally(() => systemTimers.stopTimeout(timer));
    });
    // A case that fails earlier never awaits it.
    result.catch(() => undefined);
    return result;
  }
}

const shown = (channel: string): string => JSON.stringify(channel.length > 60 ? `${channel.slice(0, 60)}…` : channel);

const expectTexts = (actual: readonly string[], expected: readonly string[], where: string): void => {
  const wrong = range(Math.max(actual.length, expected.length)).find((i) => actual[i] !== expected[i]);
  if (wrong === undefined) return;
  fail(`${where}: message ${wrong} of ${actual.length} is ${actual[wrong]}, expected ${expected[wrong]}`);
};

/** Names that an engine or an encoding might change, or take for each other. */
const NAMES: readonly string[] = [
  ...["*", ">", "?", "[a]", ".", "..", " ", "t", "t:", "t:a", "T:a", "t:A", "t:a ", " t:a", "t:a\0", "t:a\0b", "t:*"],
  ...[
    "t:>",
    "t:a.*",
    "t:a.>",
    "t:a.b",
    "t:a..b",
    "t:.a",
    "t:a.",
    "t:a/b",
    "t:a\\b",
    "t:\r\n",
    "t:\n",
    "t:\t",
    "t:\u007f",
  ],
  ...[
    "t:é",
    "t:e\u0301",
    "t:\u00a0",
    "t:\u2028",
    "t:\ufeff",
    "t:\ufffd",
    "t:😀",
    "t:😁",
    "t:%61",
    "t:=61",
    't:"',
    "t:'",
  ],
  ...["t:$", "t:{a}", "t:__proto__", "t:constructor", "__proto__", "t:undefined", "t:null", "t:0", "t:00", "$SYS.a"],
  ...[
    "a".repeat(2100),
    `${"a".repeat(2099)}b`,
    "é".repeat(2100),
    "😀".repeat(1050),
    "*".repeat(2100),
    ".".repeat(2100),
  ],
];

/** No larger message is sent, however large `maxBytes` is. */
const LARGE = 1024 * 1024;

interface Case {
  readonly name: string;
  /** Whether it needs `interrupt`. */
  readonly interrupts?: true;
  readonly test: (context: Context) => Promise<void>;
}

const CASES: readonly Case[] = [
  {
    name: "connects, and is up without subscriptions",
    test: async (context) => {
      const node = await context.connect();
      const { maxBytes } = node.connection;
      expect(maxBytes > 0, `maxBytes is ${maxBytes}`);
    },
  },
  {
    name: "delivers bytes unchanged to every other node that has subscribed, and to no other",
    test: async (context) => {
      const [one, two, three, other] = await connectAll(context, 4);
      const channel = context.channel("a");
      await Promise.all([two!.subscribe(channel), three!.subscribe(channel), other!.subscribe(context.channel("b"))]);
      const all = Uint8Array.from(range(256));
      one!.publish(channel, all);
      for (const node of [two!, three!]) {
        await node.receives(1);
        expectBytes(node.received[0]!.bytes, all);
      }
      await other!.roundTrip();
      expect(other!.on(channel).length === 0, "a node received a message of a channel that it has not subscribed to");
    },
  },
  {
    name: "delivers in order per publisher and channel, and keeps no memory of what it has delivered",
    test: async (context) => {
      const [one, two, receiver] = await connectAll(context, 3);
      const channels = ["a", "b"].map((name) => context.channel(name));
      await receiver!.subscribe(...channels);
      const numbers = range(500);
      for (const i of numbers) {
        for (const [name, node] of [one!, two!].entries()) {
          for (const channel of channels) node.publish(channel, `${name}:${i}`);
        }
        if (i % 50 === 0) await new Promise<void>((resolve) => systemTimers.later(resolve));
      }
      await receiver!.receives(4 * numbers.length);
      for (const channel of channels) {
        for (const name of [0, 1]) {
          const texts = receiver!.on(channel).filter((text) => text.startsWith(`${name}:`));
          expectTexts(
            texts,
            numbers.map((i) => `${name}:${i}`),
            `from publisher ${name}`,
          );
        }
      }
    },
  },
  {
    name: "returns to a node what it publishes to its own channel, and to no other node",
    test: async (context) => {
      const [one, two] = await connectAll(context, 2);
      await Promise.all([one!.subscribe(one!.own), two!.subscribe(two!.own)]);
      one!.publish(one!.own, "to myself");
      one!.publish(two!.own, "to the other");
      await Promise.all([one!.receives(1), two!.receives(1)]);
      await Promise.all([one!.roundTrip(), two!.roundTrip()]);
      expectTexts(one!.on(one!.own).slice(0, 1), ["to myself"], "on its own channel");
      expectTexts(two!.on(two!.own).slice(0, 1), ["to the other"], "on the channel of the other");
      expect(one!.received.length === 2 && two!.received.length === 2, "a node received the message of another");
    },
  },
  {
    name: "delivers everything that is published after subscribe() has resolved",
    test: async (context) => {
      const [publisher, subscriber] = await connectAll(context, 2);
      const channels = range(1_000).map((i) => context.channel(i));
      for (const channel of channels) {
        await subscriber!.subscribe(channel);
        publisher!.publish(channel, "first");
      }
      await subscriber!.receives(channels.length);
      for (const channel of channels) expectTexts(subscriber!.on(channel), ["first"], channel);
    },
  },
  {
    name: "has confirmed what was subscribed to before it was up",
    test: async (context) => {
      const publisher = await context.connect();
      const subscriber = await context.connecting();
      const channels = range(2_000).map((i) => context.channel(i));
      const promises = [subscriber.subscribe(...channels.slice(0, 1_999)), subscriber.subscribe(channels[1_999]!)];
      await subscriber.isUp();
      for (const channel of channels) publisher.publish(channel, "x");
      await subscriber.receives(channels.length);
      await Promise.all(promises);
    },
  },
  {
    name: "subscribes to thousands of channels at once",
    test: async (context) => {
      const [publisher, subscriber] = await connectAll(context, 2);
      const channels = range(5_000).map((i) => context.channel(i));
      await subscriber!.subscribe(...channels);
      for (const channel of channels) publisher!.publish(channel, channel);
      await subscriber!.receives(channels.length);
      for (const { channel, bytes } of subscriber!.received) expectTexts([decoder.decode(bytes)], [channel], channel);
    },
  },
  {
    name: "subscribes to no channels",
    test: async (context) => {
      const node = await context.connect();
      await node.subscribe();
      node.connection.unsubscribe([]);
      await node.roundTrip();
    },
  },
  {
    name: "ends a subscription, and renews it in the same event-loop tick",
    test: async (context) => {
      const [publisher, subscriber] = await connectAll(context, 2);
      const [ended, renewed, kept, unknown] = ["ended", "renewed", "kept", "unknown"].map((name) =>
        context.channel(name),
      );
      await subscriber!.subscribe(ended!, renewed!, kept!);
      // Twice is once: one call ends the subscription.
      await subscriber!.subscribe(ended!);
      subscriber!.connection.unsubscribe([ended!, renewed!, unknown!]);
      await subscriber!.subscribe(renewed!);
      for (const channel of [ended!, renewed!, kept!]) publisher!.publish(channel, "x");
      await subscriber!.until(() => [renewed!, kept!].every((channel) => subscriber!.on(channel).length === 1), "both");
      await publisher!.roundTrip();
      await subscriber!.roundTrip();
      expect(subscriber!.on(ended!).length === 0, "a message arrived after unsubscribe()");
      // And the reverse.
      void subscriber!.subscribe(ended!);
      subscriber!.connection.unsubscribe([ended!]);
      await subscriber!.roundTrip();
      publisher!.publish(ended!, "x");
      await publisher!.roundTrip();
      await subscriber!.roundTrip();
      expect(subscriber!.on(ended!).length === 0, "subscribe() and unsubscribe() in one tick left a subscription");
    },
  },
  {
    name: "tells channels apart, whatever their names contain",
    test: async (context) => {
      const [publisher, all, half] = await connectAll(context, 3);
      const evens = NAMES.filter((_, i) => i % 2 === 0);
      await Promise.all([all!.subscribe(...NAMES), half!.subscribe(...evens)]);
      const id = context.channel("");
      const sent = (name: string): string => `${id} ${name}`;
      // Other cases may use the same names.
      const texts = (node: Node, name: string): readonly string[] =>
        node.on(name).filter((text) => text.startsWith(id));
      for (const name of NAMES) publisher!.publish(name, sent(name));
      await all!.until(() => NAMES.every((name) => texts(all!, name).length > 0), "a message on each channel");
      await half!.until(() => evens.every((name) => texts(half!, name).length > 0), "a message on each second channel");
      await Promise.all([all!.roundTrip(), half!.roundTrip()]);
      for (const name of NAMES) expectTexts(texts(all!, name), [sent(name)], shown(name));
      for (const name of evens) expectTexts(texts(half!, name), [sent(name)], shown(name));
    },
  },
  {
    name: "delivers empty messages, and those of maxBytes",
    test: async (context) => {
      const [publisher, subscriber] = await connectAll(context, 2);
      const channel = context.channel("a");
      await subscriber!.subscribe(channel);
      const large = new Uint8Array(Math.min(publisher!.connection.maxBytes, LARGE)).map((_, i) => i * 31);
      for (const bytes of [new Uint8Array(0), large, new Uint8Array(0), large.subarray(1, 3)]) {
        publisher!.publish(channel, bytes);
      }
      await subscriber!.receives(4);
      const lengths = subscriber!.received.map(({ bytes }) => String(bytes.length));
      expectTexts(lengths, ["0", String(large.length), "0", "2"], "lengths");
      expectBytes(subscriber!.received[1]!.bytes, large);
      expectBytes(subscriber!.received[3]!.bytes, large.subarray(1, 3));
    },
  },
  {
    name: "settles each publish once, with true, whether or not there is a subscriber",
    test: async (context) => {
      const [publisher, subscriber] = await connectAll(context, 2);
      const channels = [context.channel("a"), context.channel("b")];
      await subscriber!.subscribe(channels[0]!);
      for (const i of range(1_000)) publisher!.publish(channels[i % 2]!, String(i));
      await settled(publisher!);
      expect(
        publisher!.settlements.flat().every((ok) => ok),
        "a publish was settled with false",
      );
      await publisher!.roundTrip();
    },
  },
  {
    name: "connects several nodes of one process, which do not disturb each other",
    test: async (context) => {
      const backplanes = [await context.backplane(), await context.backplane()];
      const [one, two] = [await context.connect(backplanes[0]), await context.connect(backplanes[1])];
      const channel = context.channel("a");
      await Promise.all([one.subscribe(channel), two.subscribe(channel)]);
      one.publish(channel, "from one");
      await two.receives(1);
      await one.close();
      const three = await context.connect();
      three.publish(channel, "from three");
      await two.receives(2);
      expectTexts(two.on(channel), ["from one", "from three"], "at two");
    },
  },
  {
    name: "connects again when it is asked to, with its subscriptions",
    test: async (context) => {
      const [one, two] = await connectAll(context, 2);
      const [channel, later] = [context.channel("a"), context.channel("b")];
      await one!.subscribe(channel);
      const before = one!.events.length;
      one!.connection.reconnect();
      const promise = one!.subscribe(later);
      await one!.until(() => one!.events.slice(before).includes("up"), "link.up() after reconnect()");
      await one!.isUp();
      await promise;
      two!.publish(channel, "x");
      two!.publish(later, "y");
      await one!.receives(2);
      await one!.roundTrip();
      await settled(one!);
    },
  },
  {
    name: "settles everything at close(), which can be called twice, and is silent afterwards",
    test: async (context) => {
      const [closed, other, third] = await connectAll(context, 3);
      const channel = context.channel("a");
      await Promise.all([closed!.subscribe(channel), other!.subscribe(channel)]);
      for (const i of range(100)) closed!.publish(channel, String(i));
      closed!.connection.reconnect();
      void closed!.connection.subscribe([context.channel("b")]);
      const first = closed!.close();
      await closed!.close();
      await first;
      await settled(closed!);
      closed!.connection.unsubscribe([channel]);
      closed!.connection.reconnect();
      third!.publish(channel, "after");
      await other!.until(() => other!.on(channel).includes("after"), "a message after another node was closed");
      await other!.roundTrip();
      expect(!closed!.on(channel).includes("after"), "a node received a message after close()");
    },
  },
  {
    name: "can be closed before it is up",
    test: async (context) => {
      const node = await context.connecting();
      void node.connection.subscribe([context.channel("a")]);
      await node.close();
      const other = await context.connect();
      await other.roundTrip();
    },
  },
  {
    name: "is away while the engine is, and has its subscriptions when it is up again",
    interrupts: true,
    test: async (context) => {
      const [one, two] = await connectAll(context, 2);
      const [kept, ended, added] = ["kept", "ended", "added"].map((name) => context.channel(name));
      const many = range(1_000).map((i) => context.channel(i));
      await one!.subscribe(kept!, ended!, ...many);
      await context.interrupt();
      expect(!one!.events.includes("away forever"), "link.away() was called with `forever`");
      one!.connection.unsubscribe([ended!]);
      const promise = one!.subscribe(added!);
      await context.resume();
      // Everything was confirmed before up: nothing waits for subscribe() here.
      for (const channel of [ended!, kept!, added!, ...many]) two!.publish(channel, "x");
      await one!.until(() => [kept!, added!, ...many].every((each) => one!.on(each).length === 1), "all channels");
      await promise;
      await one!.roundTrip();
      expect(one!.on(ended!).length === 0, "a message arrived for a channel that was unsubscribed while away");
    },
  },
  {
    name: "settles once what was published when the engine went away",
    interrupts: true,
    test: async (context) => {
      const [one, two] = await connectAll(context, 2);
      const channel = context.channel("a");
      await two!.subscribe(channel);
      const interrupted = context.interrupt();
      for (let i = 0; one!.up && i < 100_000; i++) {
        one!.publish(channel, String(i));
        await new Promise<void>((resolve) => systemTimers.later(resolve));
      }
      await interrupted;
      await context.resume();
      await settled(one!);
      one!.publish(channel, "last");
      await two!.until(() => two!.on(channel).at(-1) === "last", "the message after the interruption");
    },
  },
  {
    name: "connects when the engine comes later",
    interrupts: true,
    test: async (context) => {
      const channel = context.channel("a");
      await context.interrupt();
      const node = await context.connecting();
      const promise = node.subscribe(channel);
      await context.resume();
      await promise;
      const other = await context.connect();
      other.publish(channel, "x");
      await node.receives(1);
    },
  },
  {
    name: "can be closed while it is away",
    interrupts: true,
    test: async (context) => {
      const [one, two] = await connectAll(context, 2);
      await one!.subscribe(context.channel("a"));
      await context.interrupt();
      void one!.connection.subscribe([context.channel("b")]);
      one!.connection.reconnect();
      await one!.close();
      await context.resume();
      await two!.roundTrip();
    },
  },
];

const connectAll = (context: Context, count: number): Promise<readonly Node[]> =>
  Promise.all(range(count).map(() => context.connect()));

const settled = (node: Node): Promise<void> =>
  node.until(() => node.settlements.every((each) => each.length > 0), "all publishes to be settled");

const expectBytes = (actual: Uint8Array, expected: Uint8Array): void => {
  const length = Math.max(actual.length, expected.length);
  for (let i = 0; i < length; i++) {
    if (actual[i] !== expected[i]) fail(`byte ${i} of ${actual.length} is ${actual[i]}, expected ${expected[i]}`);
  }
};
