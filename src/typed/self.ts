/** `self` of a typed handler. */
import type { OutMessage } from "../message.ts";
import { STANDS_FOR } from "../session/self.ts";
import type { AnySelf, ConnectionInfo, Self } from "../websock.ts";
import { type TypedStopDetail, withMessages } from "./results.ts";

/**
 * The handle to one connection that the callbacks of a typed handler receive: the same as an ordinary `self`, but it
 * sends typed messages. Topics, addresses and presence accept it. Each connection has exactly one.
 *
 * @typeParam Message the type of the messages, as the schema `out` accepts them
 * @typeParam Info the type of the infos that `send` accepts. Default: none
 */
export interface TypedSelf<in Message, in Info = never> extends AnySelf<Info> {
  /**
   * Sends a message to the client immediately: before the result of a pending callback, and also within `init`.
   *
   * @returns `false` if the connection is ending, as for an ordinary `self`
   * @throws InvalidMessage for a message that does not fit the schema `out`. Nothing is sent, and the connection stays
   * open
   * @throws TypeError for a message that the codec cannot encode, and if the schema turns out to be asynchronous. The
   * connection stays open. Errors that the codec throws itself are passed on
   */
  readonly push: (message: Message) => boolean;
  /**
   * Closes the connection, as for an ordinary `self`.
   *
   * @param reason why the connection is closed: any value. The client does not see it
   * @param detail the close code, the close reason text, messages to send first, and whether to abort the connection
   * @throws InvalidMessage for a message that does not fit the schema `out`. The connection stays open
   * @throws TypeError for an unknown option, for a message that the codec cannot encode, and if the schema turns out to
   * be asynchronous. The connection stays open. Errors that the codec throws itself are passed on
   * @throws RangeError for an invalid close code or reason text. The connection stays open
   */
  readonly stop: (reason: unknown, detail?: TypedStopDetail<Message>) => boolean;
}

/** Adds typed messages to the `self` of a connection. */
export class SelfWithMessages<Message> implements TypedSelf<Message, unknown> {
  /** For topics. */
  readonly [STANDS_FOR]: Self<unknown>;
  readonly #encode: (message: Message) => OutMessage;

  constructor(self: Self<unknown>, encode: (message: Message) => OutMessage) {
    this[STANDS_FOR] = self;
    this.#encode = encode;
  }

  push(message: Message): boolean {
    return this[STANDS_FOR].push(this.#encode(message));
  }

  stop(reason: unknown, detail?: TypedStopDetail<Message>): boolean {
    return this[STANDS_FOR].stop(reason, detail && withMessages(detail, this.#encode));
  }

  send(info: unknown): boolean {
    return this[STANDS_FOR].send(info);
  }

  drained(): Promise<boolean> {
    return this[STANDS_FOR].drained();
  }

  get id(): string {
    return this[STANDS_FOR].id;
  }

  get buffered(): number {
    return this[STANDS_FOR].buffered;
  }

  get signal(): AbortSignal {
    return this[STANDS_FOR].signal;
  }

  get connection(): ConnectionInfo {
    return this[STANDS_FOR].connection;
  }
}
