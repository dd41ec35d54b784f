/** What a backplane needs of a Redis client. The modules beside this one provide it for each kind of client. */

/** The client that was handed in. */
export interface RedisPort {
  /** The client is not open: the application has closed it, or has not opened it yet, or it has given up. */
  readonly closed: boolean;
  /** What is weak in the client's settings: a sentence that says what to set. */
  readonly weakness: string | undefined;
  /**
   * A connection of the client to one of its nodes. A cluster has several: a random one is chosen, if possible another
   * one than `except`, and one that is ready.
   */
  node(except?: RedisNode): RedisNode | undefined;
  /** Watches what concerns all nodes. Returns a function that removes all listeners. */
  watch(events: WatchEvents): () => void;
}

/** The client's connection to one node. The same connection is always represented by the same object. */
export interface RedisNode {
  /** Commands are sent to the engine, and not queued for a later connection. */
  readonly ready: boolean;
  /** It may throw. */
  publish(channel: string, bytes: Uint8Array): Promise<unknown>;
  /** Watches the connection. Returns a function that removes all listeners. */
  watch(events: WatchEvents): () => void;
  /** Opens another connection to this node, for subscriptions alone. It does not reconnect. It may throw. */
  open(events: SubscriberEvents): Subscriber;
}

export interface WatchEvents {
  /** `ready` or `closed` may have changed. */
  changed(cause?: unknown): void;
  /** Something is weak in the client's settings: a sentence that says what to set. */
  weak(message: string): void;
}

export interface SubscriberEvents {
  message(channel: string, bytes: Uint8Array): void;
  /** The connection is lost, or could not be established. It may be called several times. */
  lost(cause: unknown): void;
}

/** A connection of the backplane's own. */
export interface Subscriber {
  /** Resolves when the connection is established, and rejects or stays pending if it is not. */
  readonly ready: Promise<unknown>;
  /** Resolves when the engine has confirmed all subscriptions. Commands are answered in the order of the calls. */
  subscribe(channels: string[]): Promise<unknown>;
  /** Resolves when the engine has confirmed. */
  unsubscribe(channels: string[]): Promise<unknown>;
  /** Destroys the connection. */
  end(): void;
}

/** A delay between two attempts to connect that is longer than this, in milliseconds, is reported as weak. */
export const LONGEST_DELAY = 2_500;

/** A plain view of the bytes of a Node `Buffer`, whose methods differ in part from those of `Uint8Array`. */
export const plainView = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** A random node, if possible another one than `except`, and one that is ready. */
export const choose = (nodes: readonly RedisNode[], except: RedisNode | undefined): RedisNode | undefined => {
  const others = nodes.filter((node) => node !== except);
  const candidates = [others.filter(({ ready }) => ready), others, nodes];
  const best = candidates.find(({ length }) => length > 0) ?? [];
  return best[Math.floor(Math.random() * best.length)];
};
