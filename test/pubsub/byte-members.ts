/** Members of topics whose frames are shared: sessions over connections, with fake streams and a clock of their own. */
import { type Messages, text } from "../../src/message.ts";
import { resolveOptions, type WebSockOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { type Compression, Connection } from "../../src/protocol/connection.ts";
import type { PubSub, SubscribeOptions } from "../../src/pubsub/index.ts";
import { type HandleResult, ok, push, stop } from "../../src/result.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { capabilities } from "../../src/testing/memory-transport.ts";
import type { CloseReason, Self } from "../../src/websock.ts";

import { FakeStream } from "../protocol/fake-wire.ts";
import { NO_LIMITS } from "../protocol/parsing.ts";
import { frame, join, OP } from "../support/client-frames.ts";
import { DeferringClock } from "../support/deferring-clock.ts";

/** What a handler can do with a message of its client. */
export type Act = (self: Self<string>, message: string) => Messages | undefined;

export interface ByteMember {
  readonly self: Self<string>;
  readonly session: Session;
  readonly stream: FakeStream;
  /** The frames that were written, in words. */
  readonly sent: () => string[];
  /** The number of writes since the last call. */
  readonly writes: () => number;
  /** The client sends messages, in one chunk. */
  readonly receive: (...messages: readonly string[]) => void;
  /** The client closes the connection. */
  readonly leave: () => void;
  readonly reasons: CloseReason[];
  readonly errors: unknown[];
}

export class ByteHost {
  readonly clock = new DeferringClock();
  private readonly streams: FakeStream[] = [];

  /** Ends the event-loop tick: what was deferred runs first, then the streams flush. */
  tick(): void {
    this.clock.turn();
    for (const stream of this.streams) stream.tick();
  }

  /** A member whose handler pushes "info:<info>" for each info, and calls `act` for each message. */
  join(
    pubsub: PubSub,
    topics: readonly string[] = ["room"],
    {
      subscribe = {},
      options = {},
      act = () => undefined,
      onTerminate = () => undefined,
      initialized,
      compression,
    }: {
      readonly subscribe?: SubscribeOptions<string>;
      readonly options?: WebSockOptions;
      readonly act?: Act;
      readonly onTerminate?: () => void;
      /** `init` returns when this promise settles, and then pushes "ready". */
      readonly initialized?: Promise<void>;
      readonly compression?: Compression;
    } = {},
  ): ByteMember {
    const stream = new FakeStream();
    this.streams.push(stream);
    const connection = new Connection(stream, portableByteOps, NO_LIMITS, compression);
    stream.open(connection);
    const reasons: CloseReason[] = [];
    const errors: unknown[] = [];
    let self!: Self<string>;
    const handler = {
      init: (_: unknown, own: Self<string>) => {
        self = own;
        for (const topic of topics) pubsub.topic<string>(topic).subscribe(own, subscribe);
        return initialized === undefined ? ok(0) : initialized.then(() => push(text("ready"), 0));
      },
      handleIn: ({ data }: { readonly data: unknown }, state: number): HandleResult<number> => {
        if (data === "stop") return stop("normal", state);
        const messages = act(self, String(data));
        return messages === undefined ? ok(state) : push(messages, state);
      },
      handleInfo: (info: string, state: number) => push(text(`info:${info}`), state),
      terminate: (reason: CloseReason) => {
        reasons.push(reason);
        onTerminate();
      },
    };
    const session = new Session(callbacksOf(handler), connection, FACTS, {
      capabilities,
      options: resolveOptions(options),
      clock: this.clock,
      byteOps: portableByteOps,
      onError: (error) => errors.push(error),
    });
    session.start(undefined);
    let counted = 0;
    return {
      self,
      session,
      stream,
      reasons,
      errors,
      sent: () => stream.sent,
      writes: () => {
        const { length } = stream.written;
        const writes = length - counted;
        counted = length;
        return writes;
      },
      receive: (...messages) =>
        connection.onBytes(join(...messages.map((payload) => frame({ opcode: OP.text, payload })))),
      leave: () => connection.onBytes(frame({ opcode: OP.close })),
    };
  }
}
