/** What the backplane needs of the NATS client. */

/**
 * A connection of `@nats-io/transport-node`, `@nats-io/transport-deno` or `wsconnect`, version 3 or later.
 *
 * The client is described by its shape, so that these types do not need its package.
 */
export interface NatsConnection {
  /** `undefined` while the client connects. */
  readonly info?: { readonly max_payload: number } | undefined;
  /** What was passed to `connect`, with the defaults. Not declared by the client, but present. */
  readonly options?: NatsOptions;
  publish(subject: string, payload: Uint8Array): void;
  subscribe(
    subject: string,
    options: { callback: (error: Error | null, message: { readonly data: Uint8Array }) => void },
  ): NatsSubscription;
  flush(): Promise<void>;
  status(): AsyncIterable<NatsStatus>;
  isClosed(): boolean;
  /** Resolves when the connection is closed for good, possibly with an error. */
  closed(): Promise<unknown>;
  reconnect(): Promise<void>;
}

/** What a client of NATS returns for a subscription. */
export interface NatsSubscription {
  unsubscribe(): void;
}

/** An event of a client of NATS. */
export interface NatsStatus {
  readonly type: string;
  /** With the type `error`. */
  readonly error?: Error;
}

/** The options of a client of NATS that are looked at, to warn of unsuitable ones. */
export interface NatsOptions {
  readonly maxReconnectAttempts?: number;
  readonly noEcho?: boolean;
  readonly pingInterval?: number;
  readonly reconnect?: boolean;
  readonly reconnectTimeWait?: number;
}

const METHODS = ["publish", "subscribe", "flush", "status", "isClosed", "closed", "reconnect"] as const;

export const isNatsConnection = (value: unknown): value is NatsConnection =>
  typeof value === "object" &&
  value !== null &&
  METHODS.every((name) => typeof (value as Partial<NatsConnection>)[name] === "function");

/** A warning about settings of the client with which nodes may be separated for long, or forever. */
export const settingsWarning = (options: NatsOptions): string | undefined => {
  const { reconnect = true, maxReconnectAttempts = -1, reconnectTimeWait = 0, pingInterval = 0 } = options;
  const found: string[] = [];
  if (!reconnect) found.push("reconnect is false, so the client never connects again: set true");
  else if (maxReconnectAttempts !== -1)
    found.push(
      `maxReconnectAttempts is ${maxReconnectAttempts}, after which the client closes the connection for good: set -1`,
    );
  if (reconnectTimeWait > 2_000)
    found.push(`reconnectTimeWait is ${reconnectTimeWait} ms, the pause between two attempts: set 250`);
  if (pingInterval > 30_000)
    found.push(`pingInterval is ${pingInterval} ms, so the client detects a frozen server late: set 10000`);
  return found.length === 0 ? undefined : `change settings of the NATS connection: ${found.join("; ")}`;
};
