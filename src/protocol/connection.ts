/**
 * A WebSocket connection over a stream of octets: frames on one side, the session's port on the other. It answers pings,
 * keeps the closing handshake (RFC 6455 §7), and puts everything that is sent in one go into one write.
 */

import { ProtocolError } from "../errors.ts";
import type { ControlMessage, IoData, Opcode } from "../message.ts";
import type { Transport, TransportEvents } from "../transport.ts";
import type { ByteOps } from "./byte-ops.ts";
import type { ByteStream, ByteStreamEvents } from "./byte-stream.ts";
import { type CloseFrame, closePayload } from "./close.ts";
import type { Compressor } from "./deflate/compressor.ts";
import type { Decompressor } from "./deflate/decompressor.ts";
import { CompressedOutput } from "./deflate/output.ts";
import { FIN, OPCODE } from "./frame.ts";
import { type FrameEvents, FrameParser, type ParserLimits } from "./frame-parser.ts";
import { FrameWriter } from "./frame-writer.ts";
import { decodeText } from "./text.ts";

/** What a connection has that agreed on permessage-deflate (RFC 7692). */
export interface Compression {
  readonly compressor: Compressor;
  readonly decompressor: Decompressor;
}

/** The state of permessage-deflate on one connection. */
interface DeflateState {
  readonly decompressor: Decompressor;
  readonly output: CompressedOutput;
  /** A large message is being inflated in another thread: what arrived behind it waits. */
  inflating: boolean;
  /** The stream was closed while a message was being inflated. */
  disconnected: boolean;
}

/** So much is gathered before it is written although more may follow in this turn. */
const FLUSH_AT = 65_536;

export class Connection implements Transport, ByteStreamEvents, FrameEvents {
  private readonly stream: ByteStream;
  private readonly byteOps: ByteOps;
  private readonly parser: FrameParser;
  private readonly writer: FrameWriter;
  private readonly deflate: DeflateState | undefined;
  private session!: TransportEvents; // set by `open`

  private parsing = false;
  private paused = false;
  private flushScheduled = false;
  /** Our close frame is decided: nothing is sent after it, and nothing that arrives counts but the peer's. */
  private closeQueued = false;
  /** It is written: what was sent before it may have had to be compressed first. */
  private closeFlushed = false;
  /** The peer's close frame has arrived, or it broke the protocol: what arrives now is dropped. */
  private discarding = false;

  constructor(stream: ByteStream, byteOps: ByteOps, limits: ParserLimits, compression?: Compression) {
    this.stream = stream;
    this.byteOps = byteOps;
    this.parser = new FrameParser(limits, byteOps, this, compression !== undefined);
    this.writer = new FrameWriter(byteOps);
    this.deflate = compression && {
      decompressor: compression.decompressor,
      output: new CompressedOutput(compression.compressor, (first, data, size) => this.write(first, data, size)),
      inflating: false,
      disconnected: false,
    };
  }

  /** Comes before everything else. */
  open(session: TransportEvents): void {
    this.session = session;
  }

  // --- what the stream tells

  /** Octets arrived; they are ours now. */
  onBytes(chunk: Uint8Array): void {
    if (!this.discarding) this.session.runInContext(this.parseChunk, this, chunk);
  }

  private parseChunk(chunk: Uint8Array): void {
    this.session.onActivity();
    this.parser.feed(chunk);
    this.parse();
  }

  /**
   * Nothing reads what was written any more: its memory may be used again. Comes before {@link onDrain}, but of a stream that
   * is gone.
   */
  onFlushed(): void {
    if (this.writer.bytes === 0) this.writer.onFlushed();
  }

  /** All that was written has been taken. */
  onDrain(): void {
    this.writer.useOwnSlab(false);
    this.onScheduledFlush();
  }

  /**
   * The peer sends nothing any more. Without a close frame that is a loss, for half a WebSocket is of no use; with one, the
   * answer is still to come.
   */
  onEnd(): void {
    if (!this.discarding || this.closeFlushed) this.stream.destroy();
  }

  onHostStop(): void {
    this.session.onHostStop();
  }

  /** The stream is gone. */
  onDisconnect(): void {
    // A message that arrived whole comes before the loss.
    if (this.deflate?.inflating) this.deflate.disconnected = true;
    // There is no session if the answer to the handshake has failed.
    else this.session?.onDisconnect();
  }

  onScheduledFlush(): void {
    this.flushScheduled = false;
    // While the peer's side takes nothing, small frames are gathered here, side by side.
    if (this.stream.buffered > 0) return;
    this.writeOut();
    if (this.stream.buffered === 0) this.session.onDrain();
  }

  private parse(): void {
    if (this.parsing) return;
    this.parsing = true;
    try {
      this.parser.parse();
      if (this.paused || this.deflate?.inflating) this.answerPingsAhead();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(error);
    } finally {
      this.parsing = false;
      this.byteOps.lastText.forget();
    }
    if (this.stream.buffered > 0) return;
    if (this.writer.bytes > 0 && this.stream.shouldFlushNow()) this.writeOut();
    // The session may wait for the peer to read: it hears of it in a stack of its own.
    if (this.writer.bytes > 0 || this.paused) this.scheduleFlush();
  }

  private writeOut(): void {
    if (this.writer.bytes === 0) return;
    this.stream.write(this.writer.take());
    if (this.stream.buffered === 0) this.writer.onFlushed();
  }

  private scheduleFlush(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    this.stream.scheduleFlush();
  }

  // --- what the parser found

  onText(data: string, size: number): void {
    if (!this.closeQueued) this.session.onText(data, size);
  }

  onBinary(data: Uint8Array<ArrayBuffer>): void {
    if (!this.closeQueued) this.session.onBinary(data);
  }

  onCompressed(opcode: number, payload: Uint8Array): void {
    if (this.closeQueued) return;
    const deflate = this.deflate!;
    const message = deflate.decompressor.decompress(payload, (result) =>
      this.session.runInContext(this.inflated, this, opcode, result),
    );
    if (message !== undefined) {
      this.deliver(opcode, message);
      return;
    }
    deflate.inflating = this.parser.stopped = true;
    this.stream.pause();
  }

  /** A large message is inflated; what waits behind it is next. */
  private inflated(opcode: number, result: Uint8Array | ProtocolError): void {
    const deflate = this.deflate!;
    deflate.inflating = false;
    // Not with `resume`, which ends the session's own pause.
    this.parser.stopped = this.paused || this.discarding;
    try {
      if (result instanceof ProtocolError) throw result;
      if (!this.closeQueued) this.deliver(opcode, result);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(error);
    }
    this.continueReading();
    if (!deflate.disconnected || deflate.inflating) return;
    deflate.disconnected = false;
    this.session.onDisconnect();
  }

  private deliver(opcode: number, data: Uint8Array): void {
    if (opcode === OPCODE.text)
      this.session.onText(decodeText(data, this.byteOps, this.parser.limits.validateUtf8), data.length);
    else this.session.onBinary(own(data));
  }

  onControl(message: ControlMessage, answered: boolean): void {
    if (this.closeQueued) return;
    if (message.opcode === "ping" && !answered) this.answerPing(message.data);
    this.session.onControl(message);
  }

  /** RFC 6455 §5.5.2: a pong in response, as soon as is practical, with the same payload. */
  private answerPing(data: Uint8Array): void {
    this.write(FIN | OPCODE.pong, data, data.length);
  }

  /** Messages wait for the session; the pings behind them, which have arrived as well, do not. */
  private answerPingsAhead(): void {
    if (this.closeQueued || this.discarding) return;
    for (const data of this.parser.takePingsAhead()) this.answerPing(data);
  }

  onClose({ code, text }: CloseFrame): void {
    this.stopReading();
    if (this.closeFlushed) this.stream.end();
    // Of a close that answers ours too, the session keeps what it says.
    this.session.onClose(code, text);
  }

  private fail(error: ProtocolError): void {
    this.stopReading();
    // RFC 6455 §7.1.7: a close frame with the reason, and no waiting for an answer that could not be read.
    if (this.closeFlushed) this.stream.end();
    else if (!this.closeQueued) this.session.onProtocolError(error);
  }

  private stopReading(): void {
    this.discarding = this.parser.stopped = true;
  }

  // --- what the session asks

  get buffered(): number {
    return this.writer.bytes + this.stream.buffered + (this.deflate === undefined ? 0 : this.deflate.output.waiting);
  }

  get bytesFlushed(): number {
    return this.stream.bytesFlushed;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    if (!this.closeQueued) this.sendFrame(OPCODE[opcode], data, size);
  }

  close(code: number | undefined, text: string): void {
    if (this.closeQueued) return;
    this.closeQueued = true;
    const payload = closePayload({ code, text }, this.byteOps);
    this.sendFrame(OPCODE.close, payload, payload.length);
  }

  private sendFrame(opcode: number, data: IoData, size: number): void {
    if (this.deflate === undefined) this.write(FIN | opcode, data, size);
    else this.deflate.output.send(opcode, data, size);
  }

  private write(first: number, data: IoData, size: number): void {
    if (this.closeFlushed) return;
    // It may have to wait for long. Mostly what was written is taken before there is more.
    if (this.stream.buffered > 0) this.writer.useOwnSlab(true);
    this.writer.add(first, data, size);
    if (first === (FIN | OPCODE.close)) this.wroteClose();
    else if (this.writer.bytes >= FLUSH_AT) this.writeOut();
    // What is sent while a chunk is parsed goes out when all of it is.
    else if (!this.parsing) this.scheduleFlush();
  }

  private wroteClose(): void {
    this.closeFlushed = true;
    this.writeOut();
    // RFC 6455 §7.1.1: when both close frames are out, the server is the first to close.
    if (this.discarding) this.stream.end();
  }

  pause(): void {
    this.paused = this.parser.stopped = true;
    this.stream.pause();
  }

  resume(): void {
    this.paused = false;
    if (this.deflate?.inflating) return;
    this.parser.stopped = this.discarding;
    this.continueReading();
  }

  private continueReading(): void {
    this.parse();
    if (!this.paused && !this.deflate?.inflating) this.stream.resume();
  }

  abort(): void {
    this.stream.destroy();
  }
}

/** The host may have inflated into more memory than it took. */
const own = (data: Uint8Array): Uint8Array<ArrayBuffer> =>
  data.length * 2 >= data.buffer.byteLength
    ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)
    : new Uint8Array(data);
