/** The channels that a node wants, and what the engine has to be told of them. */
import { later } from "../../adapters/shared/timers.ts";

/** So many channels are added or removed in one event-loop tick; other events are handled between two of them. */
export const CHUNK = 512;

/**
 * The number of chunks that are sent before the first of them is confirmed. All replies that have arrived are parsed in
 * one event-loop tick, so this bounds how long that takes.
 */
const AHEAD = 4;

export const nextTick = (): Promise<void> => new Promise(later);

/**
 * Tells the engine which channels are added and removed, also if there are none. Resolves when the engine has confirmed
 * it. It must not reject: if the connection is lost, it may remain pending.
 */
export type SendChannels = (added: readonly string[], removed: readonly string[]) => Promise<void>;

/** One connection to the engine. */
interface Connection {
  readonly send: SendChannels;
  /** The channels that the engine was asked for. */
  readonly sent: Set<string>;
  /** The confirmations of the chunks that were sent, in this order. */
  readonly unconfirmed: Promise<void>[];
  /** The calls of `subscribe` that wait for a confirmation, in the order of the chunks. */
  batches: (readonly (() => void)[])[];
  /** Chunks are being sent. */
  isSending: boolean;
}

export class WantedChannels {
  readonly #wanted = new Set<string>();
  readonly #onConfirmed: () => void;
  #connection: Connection | undefined;
  /** The channels that were added or removed since chunks were last sent; none while there is no connection. */
  #changed = new Set<string>();
  /** The calls of `subscribe` since then. */
  #waiting: (() => void)[] = [];
  #isScheduled = false;
  #isClosed = false;

  /**
   * @param onConfirmed is called when the engine has confirmed all channels that were wanted when it connected, and
   * again after each later confirmation
   */
  constructor(onConfirmed: () => void) {
    this.#onConfirmed = onConfirmed;
  }

  has(channel: string): boolean {
    return this.#wanted.has(channel);
  }

  /** Resolves when the engine has confirmed the subscriptions, with this connection or a later one. */
  subscribe(channels: readonly string[]): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    for (const channel of channels) {
      this.#wanted.add(channel);
      if (this.#connection !== undefined) this.#changed.add(channel);
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#schedule();
    });
  }

  unsubscribe(channels: readonly string[]): void {
    for (const channel of channels) {
      if (this.#wanted.delete(channel) && this.#connection !== undefined) this.#changed.add(channel);
    }
    this.#schedule();
  }

  /**
   * There is a new connection. The first chunk is sent synchronously.
   *
   * @param sent the channels that it is subscribed to. The set is modified
   */
  connected(send: SendChannels, sent = new Set<string>()): void {
    this.disconnected();
    this.#changed = new Set(this.#wanted);
    for (const channel of sent) this.#changed.add(channel);
    this.#connection = { send, sent, unconfirmed: [], batches: [], isSending: false };
    void this.#send(this.#connection);
  }

  /** The connection is lost. What waits for a confirmation waits for the next one. */
  disconnected(): void {
    if (this.#connection === undefined) return;
    this.#waiting = [...this.#connection.batches.flat(), ...this.#waiting];
    this.#changed.clear();
    this.#connection = undefined;
  }

  /** No channel is wanted any more, and nobody needs to wait. */
  close(): void {
    this.#isClosed = true;
    this.disconnected();
    this.#wanted.clear();
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** What is changed in one event-loop tick is sent together. */
  #schedule(): void {
    if (this.#isScheduled || this.#connection === undefined) return;
    this.#isScheduled = true;
    later(() => {
      this.#isScheduled = false;
      if (this.#connection !== undefined && this.#hasNews) void this.#send(this.#connection);
    });
  }

  /** Sends what has changed. It does not reject. */
  async #send(connection: Connection): Promise<void> {
    // The call that is still sending will send this, too.
    if (connection.isSending) return;
    connection.isSending = true;
    do {
      const changed = this.#changed;
      this.#changed = new Set();
      connection.batches.push(this.#waiting);
      this.#waiting = [];
      let [added, removed]: [string[], string[]] = [[], []];
      // While others use the event loop, channels may be added to the wanted ones and removed from them: they are also
      // in the next set of changes.
      for (const channel of changed) {
        if (added.length + removed.length === CHUNK) {
          await this.#sendChunk(connection, added, removed);
          await nextTick();
          if (connection !== this.#connection) return;
          [added, removed] = [[], []];
        }
        const isWanted = this.#wanted.has(channel);
        if (isWanted !== connection.sent.has(channel)) (isWanted ? added : removed).push(channel);
      }
      // Also if there are no channels: somebody may wait for the confirmation.
      await this.#sendChunk(connection, added, removed);
      void Promise.all(connection.unconfirmed).then(() => this.#confirmed(connection));
    } while (connection === this.#connection && this.#hasNews);
    connection.isSending = false;
  }

  get #hasNews(): boolean {
    return this.#changed.size > 0 || this.#waiting.length > 0;
  }

  async #sendChunk(connection: Connection, added: readonly string[], removed: readonly string[]): Promise<void> {
    if (connection.unconfirmed.length === AHEAD) await connection.unconfirmed.shift();
    if (connection !== this.#connection) return;
    for (const channel of added) connection.sent.add(channel);
    for (const channel of removed) connection.sent.delete(channel);
    connection.unconfirmed.push(connection.send(added, removed));
  }

  /** The chunks of the oldest batch are confirmed. */
  #confirmed(connection: Connection): void {
    if (connection !== this.#connection) return;
    for (const resolve of connection.batches.shift() ?? []) resolve();
    this.#onConfirmed();
  }
}
