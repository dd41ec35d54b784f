/** `websock-js/pubsub/nats` on a real nats-server. */
import { randomUUID } from "node:crypto";
import { connect } from "@nats-io/transport-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type NatsConnection, natsBackplane } from "websock-js/pubsub/nats";
import type { BackplaneConnection, BackplaneLink } from "../../../src/pubsub/backplane.ts";
import { tokenOf } from "../../../src/pubsub/backplanes/nats/subject.ts";
import { haveNatsServer, type NatsServer, startNatsServer } from "../../support/nats-server.ts";
import { nextTick } from "../../support/promises.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

const have = haveNatsServer();

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A link that records what it is told. */
class RecordingLink implements BackplaneLink {
  readonly node: string = randomUUID();
  /** `up`, `away`, `away forever` and `warn`. */
  readonly events: string[] = [];
  readonly received: [channel: string, text: string][] = [];
  readonly warnings: string[] = [];
  cause: unknown;
  private waiting: (() => void)[] = [];

  receive(channel: string, bytes: Uint8Array): void {
    this.received.push([channel, textOf(bytes)]);
    this.told();
  }
  up(): void {
    this.record("up");
  }
  away(cause: unknown, forever = false): void {
    this.cause = cause;
    this.record(forever ? "away forever" : "away");
  }
  warn(message: string): void {
    this.warnings.push(message);
    this.told();
  }
  private told(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }
  private record(event: string): void {
    this.events.push(event);
    this.told();
  }
  /** Resolves when the condition is true. It is checked after each call of the link. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }
  /** Resolves with the next event of this kind. */
  next(event: string): Promise<void> {
    const from = this.events.length;
    return this.until(() => this.events.indexOf(event, from) >= 0);
  }
}

/** What the client is told for robust nodes. */
const ROBUST = { maxReconnectAttempts: -1, reconnectTimeWait: 250, pingInterval: 10_000 };

type ConnectOptions = NonNullable<Parameters<typeof connect>[0]>;

interface TestNode {
  readonly connection: Awaited<ReturnType<typeof connect>>;
  readonly link: RecordingLink;
  readonly backplane: BackplaneConnection;
  /** Resolves with what `settled` was called with. */
  publish(channel: string, content: string | Uint8Array): Promise<boolean>;
}

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

const ownServer = async (config?: string): Promise<NatsServer> => {
  const server = await startNatsServer(config === undefined ? {} : { config });
  ends.push(() => server.stop());
  return server;
};

const attach = (connection: NatsConnection, prefix = "app"): Omit<TestNode, "connection"> => {
  const link = new RecordingLink();
  const backplane = natsBackplane({ connection, prefix }).connect(link);
  expect([...link.events, ...link.warnings]).toEqual([]); // not before `connect` has returned
  ends.push(() => backplane.close());
  return {
    link,
    backplane,
    publish: (channel, content) =>
      new Promise((resolve, reject) => {
        let calls = 0;
        backplane.publish(channel, typeof content === "string" ? bytesOf(content) : content, (ok) => {
          if (++calls > 1) reject(new Error("settled twice"));
          resolve(ok);
        });
      }),
  };
};

/** The object with another method in place of one of its own. */
const replaceMethod = <T extends object, K extends keyof T>(object: T, name: K, replace: (method: T[K]) => T[K]): T =>
  new Proxy(object, {
    get: (target, key) => {
      const value: unknown = Reflect.get(target, key);
      const bound = typeof value === "function" ? value.bind(target) : value;
      return key === name ? replace(bound) : bound;
    },
  });

/** A node whose link is up. */
const node = async (
  url: string,
  { prefix = "app", ...options }: ConnectOptions & { prefix?: string } = {},
): Promise<TestNode> => {
  const connection = await connect({ servers: url, ...ROBUST, ...options });
  ends.push(() => connection.close());
  const attached = attach(connection, prefix);
  await attached.link.until(() => attached.link.events.length > 0);
  expect(attached.link.events).toEqual(["up"]);
  return { connection, ...attached };
};

describe("options", () => {
  const connection = {
    publish() {},
    subscribe() {},
    flush() {},
    status() {},
    isClosed() {},
    closed() {},
    reconnect() {},
  };
  const withOptions = (options: object) => () => natsBackplane(options as never);

  it("are checked", () => {
    expect(withOptions({ connection, prefix: "app" })).not.toThrow();
    expect(withOptions({ connection, prefix: "app", url: "" })).toThrow(/unknown option "url"/);
    expect(withOptions({ prefix: "app" })).toThrow(/option "connection" must be .*, not undefined/);
    expect(withOptions({ connection: { publish() {} }, prefix: "app" })).toThrow(/option "connection" must be/);
    for (const prefix of [undefined, "", 1, "\ud800"])
      expect(withOptions({ connection, prefix })).toThrow(/option "prefix" must be/);
  });
});

describe("the token of a name", () => {
  it("leaves letters, digits, - and _ as they are, and encodes everything else", () => {
    expect(tokenOf("Az09-_")).toBe("Az09-_");
    expect(tokenOf("t:a.b*>~!'()%=")).toBe("t=3Aa=2Eb=2A=3E=7E=21=27=28=29=25=3D");
    expect(tokenOf("ä😀\r\n\0")).toBe("=C3=A4=F0=9F=98=80=0D=0A=00");
  });

  it("is a digest if it would be longer than 200 characters, and then equals no other token", () => {
    expect(tokenOf("a".repeat(200))).toBe("a".repeat(200));
    expect(tokenOf("a".repeat(201))).toMatch(/^~[0-9a-f]{64}$/);
    expect(tokenOf("😀".repeat(17))).toMatch(/^~/);
    expect(tokenOf(tokenOf("a".repeat(201)))).toMatch(/^=7E/);
  });
});

describe.skipIf(!have)("a backplane over NATS", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  it("carries bytes to all nodes that have subscribed", async () => {
    const [a, b, c] = [await node(server.url), await node(server.url), await node(server.url)];
    await Promise.all([a.backplane.subscribe(["t:x"]), b.backplane.subscribe(["t:x", "t:y"])]);
    expect(await Promise.all([c.publish("t:x", "1"), c.publish("t:y", "2"), c.publish("t:z", "3")])).toEqual([
      true,
      true,
      true,
    ]);
    await a.connection.flush();
    await b.connection.flush();
    expect(a.link.received).toEqual([["t:x", "1"]]);
    expect(b.link.received).toEqual([
      ["t:x", "1"],
      ["t:y", "2"],
    ]);
    expect(c.link.received).toEqual([]);
  });

  it("has confirmed a subscription when subscribe resolves", async () => {
    const [a, b] = [await node(server.url), await node(server.url)];
    for (let i = 0; i < 200; i++) {
      await a.backplane.subscribe([`t:${i}`]);
      b.backplane.publish(`t:${i}`, bytesOf("at once"), () => undefined);
    }
    await a.link.until(() => a.link.received.length === 200);
  });

  it("subscribes once to a channel, and not after it was removed", async () => {
    const [a, b] = [await node(server.url), await node(server.url)];
    await Promise.all([a.backplane.subscribe(["t:x"]), a.backplane.subscribe(["t:x", "t:y"])]);
    void a.backplane.subscribe(["t:z"]);
    a.backplane.unsubscribe(["t:y", "t:z", "t:never"]);
    await nextTick();
    await a.connection.flush();
    await Promise.all(["t:x", "t:y", "t:z"].map((channel) => b.publish(channel, "1")));
    await a.connection.flush();
    expect(a.link.received).toEqual([["t:x", "1"]]);
    await a.backplane.subscribe(["t:y"]);
    await b.publish("t:y", "2");
    await a.link.until(() => a.link.received.length === 2);
  });

  it("subscribes to many channels, and removes them, in chunks of 512", async () => {
    const connection = await connect({ servers: server.url, ...ROBUST });
    ends.push(() => connection.close());
    let [calls, most] = [0, 0];
    const count = (): void => {
      if (++calls === 1) setImmediate(() => (calls = 0));
      most = Math.max(most, calls);
    };
    const counting = replaceMethod(connection, "subscribe", (subscribe) => (subject, options) => {
      count();
      const subscription = subscribe(subject, options);
      return replaceMethod(subscription, "unsubscribe", (unsubscribe) => (max) => {
        count();
        unsubscribe(max);
      });
    });
    const [a, b] = [attach(counting), await node(server.url)];
    await a.link.until(() => a.link.events.length > 0);
    const channels = Array.from({ length: 3_000 }, (_, i) => `t:${i}`);
    await a.backplane.subscribe(channels);
    expect(most).toBe(512);
    await b.publish("t:2999", "last");
    await a.link.until(() => a.link.received.length === 1);
    most = 0;
    a.backplane.unsubscribe(channels);
    await a.backplane.close();
    expect(most).toBe(512);
  });

  it("receives once from a channel that is removed and subscribed to again", async () => {
    const connection = await connect({ servers: server.url, ...ROBUST });
    ends.push(() => connection.close());
    const slow = replaceMethod(
      connection,
      "subscribe",
      (subscribe) => (subject, options) =>
        replaceMethod(subscribe(subject, options), "unsubscribe", () => () => undefined),
    );
    const [a, b] = [attach(slow), await node(server.url)];
    await a.backplane.subscribe(["t:x"]);
    a.backplane.unsubscribe(["t:x"]); // the server does not get it: there are two subscriptions now
    await a.backplane.subscribe(["t:x"]);
    await b.publish("t:x", "1");
    await connection.flush();
    expect(a.link.received).toEqual([["t:x", "1"]]);
  });

  it("is up when the channels that were wanted from the start are confirmed", async () => {
    const connection = await connect({ servers: server.url, ...ROBUST });
    ends.push(() => connection.close());
    const b = await node(server.url);
    const a = attach(connection);
    const channels = Array.from({ length: 3_000 }, (_, i) => `t:${i}`);
    void a.backplane.subscribe(channels);
    await a.link.until(() => a.link.events.length > 0);
    await b.publish("t:2999", "1");
    await connection.flush();
    expect(a.link.received).toEqual([["t:2999", "1"]]);
  });

  it.each([false, true])("returns what is published to the node's own channel, with noEcho: %s", async (noEcho) => {
    const a = await node(server.url, { noEcho });
    const own = `n:${a.link.node}`;
    expect(await a.publish(own, "nobody has subscribed")).toBe(true);
    await a.backplane.subscribe([own, "t:x"]);
    expect(await a.publish(own, "probe")).toBe(true);
    await a.publish("t:x", "1");
    expect(a.link.received.filter(([channel]) => channel === own)).toEqual([[own, "probe"]]);
    const b = await node(server.url);
    await b.publish(own, "from another node");
    await a.link.until(() => a.link.received.some(([, text]) => text === "from another node"));
  });

  it("flushes once for everything that is published in a tick", async () => {
    const connection = await connect({ servers: server.url, ...ROBUST });
    ends.push(() => connection.close());
    let flushes = 0;
    const counting = replaceMethod(connection, "flush", (flush) => () => {
      flushes++;
      return flush();
    });
    const a = attach(counting);
    await a.link.next("up");
    flushes = 0;
    const settled = await Promise.all(Array.from({ length: 100 }, (_, i) => a.publish("t:x", `${i}`)));
    expect(settled.every(Boolean)).toBe(true);
    expect(flushes).toBe(1);
  });

  it("keeps channels with any names apart", async () => {
    const [a, b] = [await node(server.url), await node(server.url)];
    const names = [
      "*",
      ">",
      ".",
      "..",
      "a",
      "a.b",
      "a.*",
      "a.>",
      "A",
      " ",
      "a ",
      "\r\n",
      "\n",
      "\0",
      "__proto__",
      "%2E",
    ];
    const more = [
      "😀",
      "=2A",
      "=3E",
      "~",
      "t:*",
      "t:>",
      "a".repeat(200),
      "a".repeat(201),
      "\u00e9",
      "e\u0301",
      "\ufeffa",
    ];
    const long = ["x".repeat(2_000), `${"x".repeat(1_999)}y`, "😀".repeat(1_000), "constructor", "$SYS.>", "_INBOX.>"];
    const digest = tokenOf("x".repeat(2_000));
    const channels = [...names, ...more, ...long, digest, digest.slice(1)];
    expect(new Set(channels).size).toBe(channels.length);
    await a.backplane.subscribe(channels);
    const expected = channels.map((channel, i): [string, string] => [channel, `${i}`]);
    expect(await Promise.all(expected.map(([channel, text]) => b.publish(channel, text)))).toEqual(
      channels.map(() => true),
    );
    await a.connection.flush();
    expect(a.link.received).toEqual(expected);
    expect([a.link.events, b.link.events]).toEqual([["up"], ["up"]]);
  });

  it("keeps applications with different prefixes apart", async () => {
    const prefixes = ["app", "app.a", "*", ">", "app=2E", "a".repeat(201), " "];
    const nodes = await Promise.all(prefixes.map((prefix) => node(server.url, { prefix })));
    const channels = ["t:x", "a.t:x", ">", "*"];
    await Promise.all(nodes.map(({ backplane }) => backplane.subscribe(channels)));
    for (const [i, { publish }] of nodes.entries()) for (const channel of channels) await publish(channel, `${i}`);
    await Promise.all(nodes.map(({ connection }) => connection.flush()));
    for (const [i, { link }] of nodes.entries())
      expect(link.received).toEqual(channels.map((channel) => [channel, `${i}`]));
  });

  it("serves two nodes on one connection", async () => {
    const a = await node(server.url);
    const b = attach(a.connection);
    await b.link.next("up");
    await Promise.all([a.backplane.subscribe(["t:x"]), b.backplane.subscribe(["t:x"])]);
    await a.publish("t:x", "1");
    expect(b.link.received).toEqual([["t:x", "1"]]);
    await b.backplane.close();
    await a.publish("t:x", "2");
    expect(b.link.received).toHaveLength(1);
    expect(a.link.received).toHaveLength(2);
  });

  it("leaves the application's connection usable, and no subscription, after close", async () => {
    const own = await ownServer();
    const a = await node(own.url);
    const inbox: string[] = [];
    a.connection.subscribe("users.own", { callback: (_error, { data }) => void inbox.push(textOf(data)) });
    await a.backplane.subscribe(Array.from({ length: 1_500 }, (_, i) => `t:${i}`));
    expect(await own.subjects()).toHaveLength(1_501);
    const unsettled = a.publish("t:1", "just before");
    await a.backplane.close();
    await a.backplane.close();
    expect(await unsettled).toBe(false);
    a.connection.publish("users.own", "works");
    await a.connection.flush();
    expect(inbox).toEqual(["works"]);
    expect(await own.subjects()).toEqual(["users.own"]);
    expect((a.connection as unknown as { protocol: { listeners: unknown[] } }).protocol.listeners).toEqual([]);
    a.backplane.reconnect();
    await a.connection.close();
    await nextTick();
    expect(a.link.events).toEqual(["up"]);
  });

  it("knows the server's limit, and settles with false what exceeds it", async () => {
    const own = await ownServer("max_payload: 1000");
    const a = await node(own.url);
    await a.backplane.subscribe(["t:x"]);
    expect(a.backplane.maxBytes).toBe(1_000);
    expect(await a.publish("t:x", new Uint8Array(1_001))).toBe(false);
    expect(await a.publish("t:x", new Uint8Array(1_000))).toBe(true);
    expect(a.link.received).toHaveLength(1);
    const away = a.link.next("away");
    await own.kill9();
    await away;
    expect(a.backplane.maxBytes).toBe(1_000);
    expect(await a.publish("t:x", "away")).toBe(false);
  });

  it("is up again after the server was killed and has started again", async () => {
    const own = await ownServer();
    const [a, b] = [await node(own.url), await node(own.url)];
    await a.backplane.subscribe(["t:kept", "t:removed"]);
    const away = Promise.all([a.link.next("away"), b.link.next("away")]);
    const inFlight = Array.from({ length: 50 }, () => b.publish("t:kept", "in flight"));
    await own.kill9();
    await away;
    expect(await Promise.all(inFlight)).toHaveLength(50);
    a.backplane.unsubscribe(["t:removed"]);
    let isSubscribed = false;
    const added = a.backplane.subscribe(["t:added"]).then(() => {
      isSubscribed = true;
    });
    expect(await b.publish("t:kept", "away")).toBe(false);
    const up = Promise.all([a.link.next("up"), b.link.next("up")]);
    expect(isSubscribed).toBe(false);
    await own.start();
    const restarted = performance.now();
    await up;
    expect(performance.now() - restarted).toBeLessThan(5_000);
    await added;
    a.link.received.length = 0;
    await Promise.all(["t:kept", "t:removed", "t:added"].map((channel) => b.publish(channel, "again")));
    await a.connection.flush();
    expect(a.link.received).toEqual([
      ["t:kept", "again"],
      ["t:added", "again"],
    ]);
    expect(a.link.events).toEqual(["up", "away", "up"]);
    expect(b.link.events).toEqual(["up", "away", "up"]);
  });

  it("connects again when asked to", async () => {
    const a = await node(server.url);
    await a.backplane.subscribe(["t:x"]);
    const [away, up] = [a.link.next("away"), a.link.next("up")];
    a.backplane.reconnect();
    await away;
    await up;
    await a.publish("t:x", "1");
    expect(a.link.received).toEqual([["t:x", "1"]]);
    expect(a.link.events).toEqual(["up", "away", "up"]);
  });

  it("is away forever once the client has given up", async () => {
    const own = await ownServer();
    const a = await node(own.url, { maxReconnectAttempts: 2, reconnectTimeWait: 20 });
    const forever = a.link.next("away forever");
    await own.kill9();
    await forever;
    expect(a.link.events).toEqual(["up", "away", "away forever"]);
    expect(a.link.cause).toBeInstanceOf(Error);
    expect(await a.publish("t:x", "1")).toBe(false);
    a.backplane.reconnect();
  });

  it.each(["close", "drain"] as const)("is away forever after the application's %s()", async (method) => {
    const a = await node(server.url);
    await a.backplane.subscribe(["t:x"]);
    const forever = a.link.next("away forever");
    const inFlight = a.publish("t:x", "1");
    const pending = a.backplane.subscribe(["t:y"]);
    await a.connection[method]();
    await forever;
    await inFlight;
    expect(a.link.events).toEqual(["up", "away forever"]);
    expect(await a.publish("t:x", "2")).toBe(false);
    await Promise.race([pending, nextTick()]);
    void a.backplane.subscribe(["t:z"]);
    a.backplane.unsubscribe(["t:x", "t:z"]);
    a.backplane.reconnect();
    await nextTick();
  });

  it("is away forever on a connection that is already closed", async () => {
    const connection = await connect({ servers: server.url, ...ROBUST });
    await connection.close();
    const a = attach(connection);
    void a.backplane.subscribe(["t:x"]);
    await a.link.next("away forever");
    expect(a.link.events).toEqual(["away forever"]);
  });

  it("becomes up on a connection that was handed in while the client connects again", async () => {
    const own = await ownServer();
    const connection = await connect({ servers: own.url, ...ROBUST });
    ends.push(() => connection.close());
    const lost = (async () => {
      for await (const { type } of connection.status()) if (type === "reconnecting") return;
    })();
    await own.kill9();
    await lost;
    const a = attach(connection);
    const subscribed = a.backplane.subscribe(["t:x"]);
    await own.start();
    await subscribed;
    await a.publish("t:x", "1");
    expect(a.link.received).toEqual([["t:x", "1"]]);
    expect(a.link.events.filter((event) => event === "up")).toHaveLength(1);
  });

  it("does not call the client while the server is away", async () => {
    const own = await ownServer();
    const connection = await connect({ servers: own.url, ...ROBUST });
    ends.push(() => connection.close());
    let calls = 0;
    const counting = replaceMethod(connection, "publish", (publish) => (...args) => {
      calls++;
      publish(...args);
    });
    const a = attach(counting);
    await a.link.until(() => a.link.events.length > 0);
    expect(await a.publish("t:x", "1")).toBe(true);
    const away = a.link.next("away");
    await own.kill9();
    await away;
    expect(await a.publish("t:x", "2")).toBe(false);
    expect(calls).toBe(1);
  });

  it("settles at once what a given up connection still holds", async () => {
    const own = await ownServer();
    const a = await node(own.url);
    own.pause();
    const big = Array.from({ length: 24 }, () => a.publish("t:x", new Uint8Array(1_000_000)));
    await nextTick();
    a.backplane.reconnect(); // the client waits until its socket has written everything: forever
    expect(await Promise.all(big)).toEqual(big.map(() => false));
    const up = a.link.next("up");
    own.resume();
    await up;
    expect(a.link.events).toEqual(["up", "away", "up"]);
  });

  it("settles what was published to a frozen server, when it continues or when the connection is given up", async () => {
    const own = await ownServer();
    const [a, b] = [await node(own.url), await node(own.url)];
    own.pause();
    let settled = 0;
    const kept = a.publish("t:x", "1").finally(() => settled++);
    const given = b.publish("t:x", "2").finally(() => settled++);
    await nextTick();
    expect(settled).toBe(0);
    let isSubscribed = false;
    const subscribed = b.backplane.subscribe(["t:x"]).then(() => {
      isSubscribed = true;
    });
    await nextTick();
    const away = b.link.next("away");
    b.backplane.reconnect();
    await away;
    expect(await given).toBe(false);
    expect(settled).toBe(1);
    await nextTick();
    expect(isSubscribed).toBe(false);
    const up = b.link.next("up");
    own.resume();
    expect(await kept).toBe(true);
    await up;
    await subscribed;
    expect(await b.publish("t:x", "3")).toBe(true);
    expect(a.link.events).toEqual(["up"]);
  });

  it("warns once of settings with which nodes may be separated", async () => {
    const robust = await node(server.url);
    expect(robust.link.warnings).toEqual([]);
    const weak = await node(server.url, { maxReconnectAttempts: 10, reconnectTimeWait: 3_000, pingInterval: 60_000 });
    expect(weak.link.warnings).toHaveLength(1);
    for (const name of ["maxReconnectAttempts is 10", "reconnectTimeWait is 3000", "pingInterval is 60000"])
      expect(weak.link.warnings[0]).toContain(name);
    const never = await node(server.url, { reconnect: false });
    expect(never.link.warnings[0]).toContain("reconnect is false");
  });

  it("warns once if the server refuses a subject", async () => {
    const own = await ownServer(
      'authorization { users = [ { user: u, password: p, permissions: { publish: ["app.t=3Aa"], subscribe: ">" } } ] }',
    );
    const a = await node(own.url, { user: "u", pass: "p" });
    await a.backplane.subscribe(["t:a", "t:b"]);
    await a.publish("t:a", "1");
    await a.publish("t:b", "2");
    await a.publish("t:b", "3");
    await a.link.until(() => a.link.warnings.length > 0);
    expect(a.link.received).toEqual([["t:a", "1"]]);
    expect(a.link.warnings).toHaveLength(1);
    expect(a.link.warnings[0]).toMatch(/refuses a subject .*app\.t=3Ab.*permit app\.\*/);
  });
});
