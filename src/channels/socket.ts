/** `socket`: what the callbacks of a channel use. */
import type { Self } from "../websock.ts";
import type { MessageRef, Socket } from "./channel.ts";
import type { Status } from "./results.ts";

/** The part of a channel session that its socket uses. */
export interface SocketHandle {
  readonly topic: string;
  readonly isJoined: boolean;
  readonly ref: MessageRef | undefined;
  readonly owner: { readonly shared: unknown; readonly self: Self<never> };
  push(event: string, payload: unknown): boolean;
  reply(ref: MessageRef, status: Status, payload: unknown): boolean;
  broadcast(event: string, payload: unknown, exceptSelf: boolean): boolean;
  send(info: unknown): boolean;
}

export class ChannelSocket implements Socket<unknown, unknown> {
  readonly #session: SocketHandle;

  constructor(session: SocketHandle) {
    this.#session = session;
  }

  get topic(): string {
    return this.#session.topic;
  }

  get shared(): unknown {
    return this.#session.owner.shared;
  }

  get self(): Self<never> {
    return this.#session.owner.self;
  }

  get isJoined(): boolean {
    return this.#session.isJoined;
  }

  get ref(): MessageRef | undefined {
    return this.#session.ref;
  }

  push(event: string, payload: unknown): boolean {
    return this.#session.push(event, payload);
  }

  reply(ref: MessageRef, status: Status, payload: unknown): boolean {
    return this.#session.reply(ref, status, payload);
  }

  broadcast(event: string, payload: unknown): boolean {
    return this.#session.broadcast(event, payload, false);
  }

  broadcastFrom(event: string, payload: unknown): boolean {
    return this.#session.broadcast(event, payload, true);
  }

  send(info: unknown): boolean {
    return this.#session.send(info);
  }
}
