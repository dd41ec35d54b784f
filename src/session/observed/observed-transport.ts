/** Counts what an observed session sends. */
import type { IoData, Opcode } from "../../message.ts";
import type { SharedSlice } from "../../protocol/shared-messages.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import type { ConnectionCounts } from "./counts.ts";
import { closeSize } from "./observed-events.ts";

/** It has no `sendText`, so that the session measures each text. */
export class ObservedTransport implements Transport {
  // Only present where the transport has them, because the session looks whether they exist.
  declare readonly sendShared?: (slices: readonly SharedSlice[], flush: boolean) => void;
  declare readonly keep?: NonNullable<Transport["keep"]>;
  declare readonly keepTopics?: NonNullable<Transport["keepTopics"]>;
  /** The code of our close frame. */
  codeSent: number | undefined = undefined;
  private readonly transport: Transport;
  private readonly counts: ConnectionCounts;
  private readonly onOpen: (events: TransportEvents) => TransportEvents;
  private closing = false;

  /** @param onOpen called when the session opens the transport. Returns to whom the transport reports */
  constructor(transport: Transport, counts: ConnectionCounts, onOpen: (events: TransportEvents) => TransportEvents) {
    this.transport = transport;
    this.counts = counts;
    this.onOpen = onOpen;
    if (transport.sendShared !== undefined) {
      this.sendShared = (slices, flush) => {
        this.countShared(slices);
        transport.sendShared!(slices, flush);
      };
    }
    if (transport.keep !== undefined) this.keep = (state) => transport.keep!(state);
    if (transport.keepTopics !== undefined) this.keepTopics = (topics) => transport.keepTopics!(topics);
  }

  open(events: TransportEvents): void {
    this.transport.open(this.onOpen(events));
  }

  /** The session reads it after everything that it sends. */
  get buffered(): number {
    const { buffered } = this.transport;
    const { most } = this.counts;
    if (buffered > most.buffered) most.buffered = buffered;
    return buffered;
  }

  get bytesFlushed(): number {
    return this.transport.bytesFlushed;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    const { sent } = this.counts;
    if (opcode === "text") sent.text.add(size);
    else if (opcode === "binary") sent.binary.add(size);
    else sent[opcode]?.add(size);
    this.transport.send(opcode, data, size);
  }

  private countShared(slices: readonly SharedSlice[]): void {
    const { sent } = this.counts;
    for (const { totals } of slices) {
      for (const opcode of OPCODES) {
        const { messages, bytes } = totals[opcode];
        const tally = messages > 0 ? sent[opcode] : undefined;
        if (tally === undefined) continue;
        tally.messages += messages;
        tally.bytes += bytes;
      }
    }
  }

  close(code: number | undefined, text: string): void {
    if (!this.closing) this.counts.sent.close.add(closeSize(code, text));
    if (!this.closing) this.codeSent = code;
    this.closing = true;
    this.transport.close(code, text);
  }

  abort(): void {
    this.transport.abort();
  }

  pause(): void {
    this.transport.pause();
  }

  resume(): void {
    this.transport.resume();
  }
}

const OPCODES: readonly Opcode[] = ["text", "binary", "ping", "pong"];
