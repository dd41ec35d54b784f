/** An observed session over a fake stream, whose client sends frames. The clock is manual. */

import type { ConnectionEvent } from "../../src/diagnostics.ts";
import { resolveOptions, type WebSockOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { type Compression, Connection } from "../../src/protocol/connection.ts";
import type { AsyncContext } from "../../src/session/async-context.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import type { ConnectionCounts } from "../../src/session/observed/counts.ts";
import { observedSession } from "../../src/session/observed/observed-session.ts";
import type { ObservedCall, ObservedEnd } from "../../src/session/observed/observer.ts";
import type { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { capabilities } from "../../src/testing/memory-transport.ts";
import type { Transport } from "../../src/transport.ts";
import { FakeStream } from "../protocol/fake-wire.ts";
import { type Frame, frame, join } from "../support/client-frames.ts";

export class ObservedWorld {
  readonly clock = new ManualClock();
  readonly stream = new FakeStream();
  readonly errors: unknown[] = [];
  /** The events in order: `upgrade`, `open`, `close`. */
  readonly events: string[] = [];
  readonly calls: ObservedCall[] = [];
  about!: ConnectionEvent;
  counts!: ConnectionCounts;
  openedAfter: number | undefined;
  end: ObservedEnd | undefined;
  readonly session: Session;

  constructor(
    handler: object,
    {
      options,
      compression,
      asyncContext,
      transport,
      traced = false,
      resumed = false,
    }: {
      options?: WebSockOptions;
      compression?: Compression;
      asyncContext?: AsyncContext;
      /** Instead of one over {@link stream}. */
      transport?: Transport;
      traced?: boolean;
      resumed?: boolean;
    } = {},
  ) {
    const { clock, errors, stream } = this;
    const resolved = resolveOptions({ timeout: Number.POSITIVE_INFINITY, ...options });
    const connection = new Connection(stream, portableByteOps, resolved, compression);
    stream.open(connection);
    this.session = observedSession(
      {
        now: () => clock.now(),
        onUpgrade: (about, counts) => {
          this.events.push("upgrade");
          Object.assign(this, { about, counts });
        },
        onOpen: (about, counts, duration) => {
          this.events.push("open");
          Object.assign(this, { about, counts, openedAfter: duration });
        },
        onClose: (_about, _counts, end) => {
          this.events.push("close");
          this.end = end;
        },
        trace: traced
          ? (call, run) => {
              this.calls.push(call);
              return run();
            }
          : undefined,
      },
      {
        callbacks: callbacksOf(handler),
        transport: transport ?? connection,
        facts: { ...FACTS },
        environment: {
          capabilities,
          options: resolved,
          clock,
          byteOps: portableByteOps,
          onError: (error) => errors.push(error),
        },
        asyncContext,
      },
      resumed,
    );
    if (resumed) this.session.resume("stored");
    else this.session.start(undefined);
  }

  /** The client sends frames, in one chunk. */
  receive(...frames: readonly Frame[]): void {
    this.receiveBytes(join(...frames.map(frame)));
  }

  receiveBytes(bytes: Uint8Array): void {
    this.stream.events.onBytes(bytes);
    this.stream.tick();
  }

  /** The connection is lost, or closed after the closing handshake. */
  disconnect(): void {
    this.stream.events.onDisconnect();
  }
}
