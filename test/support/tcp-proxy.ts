/** A TCP proxy between a client and an engine, which disturbs their connections. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface TcpProxy {
  readonly port: number;
  /** The number of connections that are open now. */
  readonly connections: number;
  /** The number of connections that were accepted since the start. */
  readonly accepted: number;
  /** Where new connections lead to. Those that exist stay where they are, unless they are cut. */
  upstream(port: number): void;
  /** The newest connection leads to another port from now on, and its client does not notice. */
  divert(port: number): void;
  /** Destroys all connections, in both directions. */
  cut(): void;
  /** Replies are read from the engine and thrown away, until this is called with `false`. */
  swallow(replies: boolean): void;
  /** Each reply is forwarded `ms` milliseconds after it was received. `0`: at once. */
  delay(ms: number): void;
  /** Nothing is read in either direction, until this is called with `false`: a half-open connection. */
  freeze(frozen: boolean): void;
  /**
   * New connections are accepted, and nothing is forwarded on them as long as they live, until this is called with
   * `false`.
   */
  hold(connections: boolean): void;
  /** New connections are destroyed, until this is called with `false`. */
  refuse(connections: boolean): void;
  /** Resolves with what the client has sent, when it is like this. Looks at what is sent after the call. */
  sent(like: RegExp): Promise<string>;
  /** Destroys all connections, and stops listening. */
  stop(): Promise<void>;
}

interface Pair {
  readonly client: Socket;
  server: Socket;
}

interface Watch {
  readonly like: RegExp;
  seen: string;
  readonly found: (text: string) => void;
}

/** Starts a proxy on a free port of this machine, which connects to another one. */
export const startProxy = async (port: number): Promise<TcpProxy & AsyncDisposable> => {
  const pairs = new Set<Pair>();
  const watches = new Set<Watch>();
  const timers = new Set<NodeJS.Timeout>();
  let [target, accepted, delayed] = [port, 0, 0];
  let [swallowing, frozen, holding, refusing] = [false, false, false, false];

  const watch = (bytes: Buffer): void => {
    for (const each of watches) {
      each.seen += bytes.toString("latin1");
      if (!each.like.test(each.seen)) continue;
      watches.delete(each);
      each.found(each.seen);
    }
  };
  const cut = (): void => {
    for (const { client, server } of pairs) {
      client.destroy();
      server.destroy();
    }
    pairs.clear();
  };

  /** Connects to the engine for a client. */
  const dial = (client: Socket, port: number): Socket => {
    const server = connect({ port, host: "127.0.0.1", noDelay: true });
    server.on("error", () => undefined);
    server.on("close", () => client.destroy());
    server.on("data", (bytes) => {
      if (swallowing) return;
      if (delayed === 0) return void client.write(bytes);
      // Timers of the same duration run in the order of their calls.
      const timer = setTimeout(() => {
        timers.delete(timer);
        if (!client.destroyed) client.write(bytes);
      }, delayed);
      timers.add(timer);
    });
    return server;
  };

  const listener = createServer({ noDelay: true }, (client) => {
    accepted++;
    client.on("error", () => undefined);
    if (refusing) return void client.destroy();
    const pair: Pair = { client, server: dial(client, target) };
    pairs.add(pair);
    client.on("close", () => {
      pairs.delete(pair);
      pair.server.destroy();
    });
    client.on("data", (bytes) => {
      watch(bytes);
      pair.server.write(bytes);
    });
    if (frozen || holding) {
      client.pause();
      pair.server.pause();
    }
  }).listen(0, "127.0.0.1");
  await once(listener, "listening");

  const stop = async (): Promise<void> => {
    cut();
    for (const timer of timers) clearTimeout(timer);
    if (!listener.listening) return;
    listener.close();
    await once(listener, "close");
  };
  return {
    port: (listener.address() as AddressInfo).port,
    get connections() {
      return pairs.size;
    },
    get accepted() {
      return accepted;
    },
    upstream: (other) => {
      target = other;
    },
    divert: (other) => {
      const pair = [...pairs].at(-1);
      if (pair === undefined) throw new Error("there is no connection");
      pair.server.removeAllListeners("close").destroy();
      pair.server = dial(pair.client, other);
    },
    cut,
    swallow: (replies) => {
      swallowing = replies;
    },
    delay: (ms) => {
      delayed = ms;
    },
    freeze: (stopped) => {
      frozen = stopped;
      for (const { client, server } of pairs) {
        for (const socket of [client, server]) stopped ? socket.pause() : socket.resume();
      }
    },
    hold: (connections) => {
      holding = connections;
    },
    refuse: (connections) => {
      refusing = connections;
    },
    sent: (like) => new Promise((found) => watches.add({ like, seen: "", found })),
    stop,
    [Symbol.asyncDispose]: stop,
  };
};
