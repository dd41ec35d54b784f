/** Counts what an observed session sends. */
import type { IoData, Opcode } from "../../message.ts";
import type { SharedSlice } from "../../protocol/shared-messages.ts";
import type { Transport, TransportEvents } from "../../transport.ts";
import type { CallbackCounts, ConnectionCounts, Tally } from "./counts.ts";
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
  private readonly texts: Tally;
  private readonly callbacks: CallbackCounts;
  private readonly onOpen: () => TransportEvents;
  private closing = false;

  /** @param onOpen called when the session opens the transport. Returns to whom the transport reports */
  constructor(transport: Transport, counts: ConnectionCounts, onOpen: () => TransportEvents) {
    this.transport = transport;
    this.counts = counts;
    this.texts = counts.sent.text;
    this.callbacks = counts.callbacks;
    this.onOpen = onOpen;
    if (transport.sendShared !== undefined) {
      this.sendShared = (slices, flush) => {
        this.countShared(slices);
        transport.sendShared!(slices, flush);
        this.noteBuffered();
      };
    }
    if (transport.keep !== undefined) this.keep = (state) => transport.keep!(state);
    if (transport.keepTopics !== undefined) this.keepTopics = (topics) => transport.keepTopics!(topics);
  }

  open(): void {
    this.transport.open(this.onOpen());
  }

  get buffered(): number {
    return this.transport.buffered;
  }

  get bytesFlushed(): number {
    return this.transport.bytesFlushed;
  }

  /** Handles only the most frequent case itself, so that the JIT can inline it. */
  send(opcode: Opcode, data: IoData, size: number): void {
    if (opcode !== "text" || !this.callbacks.inChunk) {
      this.sendAndNote(opcode, data, size);
      return;
    }
    // Not `add`: without that call, the JIT inlines more of the rest.
    const { texts } = this;
    texts.messages++;
    texts.bytes += size;
    this.transport.send(opcode, data, size);
  }

  private sendAndNote(opcode: Opcode, data: IoData, size: number): void {
    this.counts.sent[opcode]?.add(size);
    this.transport.send(opcode, data, size);
    // In a chunk, it is done once, at its end.
    if (!this.callbacks.inChunk) this.noteBuffered();
  }

  noteBuffered(): void {
    const { buffered } = this.transport;
    const { most } = this.counts;
    if (buffered > most.buffered) most.buffered = buffered;
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
