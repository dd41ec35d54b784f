/**
 * A WebSocket connection over a byte stream: a transport for the session. It parses and writes frames, answers pings,
 * performs the closing handshake (RFC 6455 §7), and batches the frames of an event-loop tick into one write.
 */
import { ProtocolError } from "../errors.ts";
import type { ControlMessage, IoData, Opcode } from "../message.ts";
import type { Transport, TransportEvents } from "../transport.ts";
import type { ByteOps } from "./byte-ops.ts";
import type { ByteStream, ByteStreamEvents } from "./byte-stream.ts";
import { type CloseFrame, closePayload } from "./close.ts";
import { copy, viewOrCopy } from "./copy.ts";
import type { Compressor } from "./deflate/compressor.ts";
import type { Decompressor } from "./deflate/decompressor.ts";
import { CompressedOutput, type FrameSink } from "./deflate/output.ts";
import { FIN, OPCODE } from "./frame.ts";
import { type FrameEvents, type FrameParser, type ParserLimits, recycleParser, takeParser } from "./frame-parser.ts";
import { type FrameWriter, NO_FRAMES, recycleWriter, takeWriter } from "./frame-writer.ts";
import type { ReceiveBuffer } from "./receive-buffer.ts";
import type { SharedSlice } from "./shared-messages.ts";
import { decodeText } from "./text.ts";

/** The two halves of permessage-deflate (RFC 7692), for a connection that negotiated it. */
export interface Compression {
  readonly compressor: Compressor;
  readonly decompressor: Decompressor;
}

/** The permessage-deflate state of one connection. */
interface DeflateState {
  readonly decompressor: Decompressor;
  readonly output: CompressedOutput;
  /** A large message is being inflated in another thread: frames behind it wait. */
  inflating: boolean;
  /** The stream was closed while a message was being inflated. */
  disconnected: boolean;
}

/** This many pending bytes are written to the stream without waiting for the end of the event-loop tick. */
const FLUSH_THRESHOLD = 65_536;

export class Connection implements Transport, ByteStreamEvents, FrameEvents, FrameSink {
  private readonly stream: ByteStream;
  private readonly byteOps: ByteOps;
  private readonly limits: ParserLimits;
  /** What has been received and is not parsed. `undefined`: nothing. */
  private parser: FrameParser | undefined = undefined;
  /** The frames that are not flushed. */
  private writer: FrameWriter = NO_FRAMES;
  private readonly deflate: DeflateState | undefined;
  private session!: TransportEvents; // set by `open`

  private parsing = false;
  private paused = false;
  private flushScheduled = false;
  /**
   * Our close frame is queued: nothing is sent after it, and all received frames are ignored except the peer's close
   * frame.
   */
  private closeQueued = false;
  /**
   * Our close frame is written to the stream. Later than `closeQueued` if messages before it are still being
   * compressed.
   */
  private closeWritten = false;
  /** The peer has sent its close frame, or violated the protocol: everything that arrives now is dropped. */
  private discarding = false;

  constructor(stream: ByteStream, byteOps: ByteOps, limits: ParserLimits, compression?: Compression) {
    this.stream = stream;
    this.byteOps = byteOps;
    this.limits = limits;
    this.deflate = compression && {
      decompressor: compression.decompressor,
      output: new CompressedOutput(compression.compressor, this),
      inflating: false,
      disconnected: false,
    };
  }

  open(session: TransportEvents): void {
    this.session = session;
  }

  // --- events of the stream

  onBytes(chunk: Uint8Array, inContext = false): void {
    if (this.discarding) return;
    if (inContext) this.session.assumeContext(this.parseChunk, this, chunk);
    else this.session.runInContext(this.parseChunk, this, chunk);
  }

  private parseChunk(chunk: Uint8Array): void {
    this.session.onActivity();
    this.ownParser.feed(chunk);
    this.parse();
  }

  onReceived(buffer: ReceiveBuffer, size: number, inContext = false): number {
    if (this.discarding) return 0;
    if (inContext) this.session.assumeContext(this.parseReceived, this, buffer, size);
    else this.session.runInContext(this.parseReceived, this, buffer, size);
    return this.parser?.expected ?? 0;
  }

  private parseReceived(buffer: ReceiveBuffer, size: number): void {
    this.session.onActivity();
    // A callback runs the event loop: the memory will be overwritten before the parser continues.
    if (this.parsing) this.ownParser.feed(copy(buffer.bytes, buffer.start, buffer.start + size));
    else this.ownParser.feedShared(buffer, size);
    this.parse();
  }

  onLost(): void {
    this.stopReading();
  }

  onFlushed(): void {
    if (this.writer.bytes === 0) this.releaseWriter();
  }

  onDrain(): void {
    this.writer.useOwnSlab(false);
    this.flush();
  }

  /**
   * If the peer has ended its direction without a close frame, the connection is lost: a half-open WebSocket is
   * useless. If the peer has sent a close frame but ours is not written yet, the stream stays open until it is.
   */
  onEnd(): void {
    if (!this.discarding || this.closeWritten) this.stream.destroy();
  }

  onHostStop(): void {
    this.session.onHostStop();
  }

  onDisconnect(): void {
    // A message that arrived completely is delivered before the loss is reported.
    if (this.deflate?.inflating) this.deflate.disconnected = true;
    // There is no session if writing the response to the upgrade request has failed.
    else this.session?.onDisconnect();
  }

  onScheduledFlush(): void {
    this.flushScheduled = false;
    if (this.session.awaitsAnswers(this.writer.bytes)) this.scheduleFlush();
    else this.flush();
  }

  private flush(): void {
    // While the stream has a backlog, small frames are collected in the writer's slab.
    if (this.stream.buffered > 0) return;
    this.writeOut();
    if (this.stream.buffered === 0) this.session.onDrain();
  }

  private parse(): void {
    if (this.parsing) return;
    this.parsing = true;
    try {
      this.parser?.parse();
      if (this.paused || this.deflate?.inflating) this.answerPingsAhead();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(error);
    } finally {
      this.parsing = false;
      this.byteOps.lastText.forget();
    }
    if (this.parser?.isEmpty) {
      recycleParser(this.parser);
      this.parser = undefined;
    }
    if (this.stream.buffered > 0) return;
    if (this.writer.bytes > 0 && this.stream.shouldFlushNow()) this.writeOut();
    // A session that has paused reading may be waiting for `onDrain`, which must be called in a later tick, not on the
    // session's stack.
    if (this.writer.bytes > 0 || this.paused) this.scheduleFlush();
  }

  private writeOut(): void {
    if (this.writer.bytes === 0) return;
    this.stream.write(this.writer.takeParts());
    if (this.stream.buffered === 0 && this.writer.bytes === 0) this.releaseWriter();
  }

  private get ownWriter(): FrameWriter {
    if (this.writer === NO_FRAMES) this.writer = takeWriter(this.byteOps);
    return this.writer;
  }

  /** Everything is flushed. */
  private releaseWriter(): void {
    if (this.writer === NO_FRAMES) return;
    recycleWriter(this.writer);
    this.writer = NO_FRAMES;
  }

  private scheduleFlush(): void {
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    this.stream.scheduleFlush();
  }

  /**
   * While a chunk is being parsed, no flush is scheduled here: at the end of the chunk, `parse` does that for all
   * frames.
   */
  private flushLater(): void {
    if (!this.parsing) this.scheduleFlush();
  }

  // --- events of the parser

  onText(data: string, size: number): void {
    if (!this.closeQueued) this.session.onText(data, size);
  }

  onBinary(data: Uint8Array<ArrayBuffer>): void {
    if (!this.closeQueued) this.session.onBinary(data);
  }

  onFragmented(frames: number): void {
    const { wire } = this.session;
    if (wire !== undefined && !this.closeQueued) wire.received.continuations += frames - 1;
  }

  onCompressed(opcode: number, payload: Uint8Array): void {
    if (this.closeQueued) return;
    const { wire } = this.session;
    if (wire !== undefined) wire.received.compressedBytes += payload.length;
    const deflate = this.deflate!;
    const message = deflate.decompressor.decompress(payload, (result) =>
      this.session.runInContext(this.onInflated, this, opcode, result),
    );
    if (message !== undefined) {
      this.deliver(opcode, message);
      return;
    }
    deflate.inflating = true;
    this.updateStopped();
    this.stream.pause();
  }

  /** A large message has been inflated in another thread. Continues with the frames behind it. */
  private onInflated(opcode: number, result: Uint8Array | ProtocolError): void {
    const deflate = this.deflate!;
    deflate.inflating = false;
    // `resume` is not called here, because it would end a pause that the session has requested.
    this.updateStopped();
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
      this.session.onText(decodeText(data, this.byteOps, this.limits.validateUtf8), data.length);
    else this.session.onBinary(viewOrCopy(data, 0, data.length)); // zlib may have allocated more memory than it filled
  }

  onControl(message: ControlMessage, answered: boolean): void {
    if (this.closeQueued) return;
    if (message.opcode === "ping" && !answered) this.answerPing(message.data);
    this.session.onControl(message);
  }

  /** RFC 6455 §5.5.2: a pong with the same payload, "as soon as is practical". */
  private answerPing(data: Uint8Array): void {
    this.writeFrame(FIN | OPCODE.pong, data, data.length);
  }

  /** While parsing is stopped, pings that have arrived behind the waiting messages are answered nevertheless. */
  private answerPingsAhead(): void {
    if (this.closeQueued || this.discarding) return;
    for (const data of this.parser?.takePingsAhead() ?? []) this.answerPing(data);
  }

  onClose({ code, text }: CloseFrame): void {
    this.stopReading();
    if (this.closeWritten) this.stream.end();
    // The session records the code and text of the peer's close frame, even if that is the answer to ours.
    this.session.onClose(code, text);
  }

  private fail(error: ProtocolError): void {
    this.stopReading();
    // RFC 6455 §7.1.7: send a close frame with the code. The peer's close frame is not awaited: it could not be parsed.
    if (this.closeWritten) this.stream.end();
    else if (!this.closeQueued) this.session.onProtocolError(error);
  }

  private stopReading(): void {
    this.discarding = true;
    this.parser?.discard();
  }

  private get ownParser(): FrameParser {
    if (this.parser === undefined) {
      this.parser = takeParser(this.byteOps, this.limits, this, this.deflate !== undefined);
      this.updateStopped();
    }
    return this.parser;
  }

  private updateStopped(): void {
    if (this.parser !== undefined)
      this.parser.stopped = this.paused || this.discarding || this.deflate?.inflating === true;
  }

  // --- calls of the session

  get buffered(): number {
    return (
      this.writer.bytes + this.stream.buffered + (this.deflate === undefined ? 0 : this.deflate.output.queuedBytes)
    );
  }

  get bytesFlushed(): number {
    return this.stream.bytesFlushed;
  }

  send(opcode: Opcode, data: IoData, size: number): void {
    if (!this.closeQueued) this.sendFrame(OPCODE[opcode], data, size);
  }

  sendShared(slices: readonly SharedSlice[], flush: boolean): void {
    if (this.closeQueued) return;
    const { deflate, stream, writer } = this;
    const [first] = slices;
    if (flush && slices.length === 1 && deflate === undefined && writer.bytes === 0 && stream.buffered === 0) {
      // Nearly always, there is nothing else to write.
      stream.write([first!.frames]);
      return;
    }
    for (const slice of slices)
      if (deflate === undefined) this.addFrames(slice.frames);
      else deflate.output.sendShared(slice);
    if (flush && stream.buffered === 0) this.writeOut();
    else this.flushLater();
  }

  close(code: number | undefined, text: string): void {
    if (this.closeQueued) return;
    this.closeQueued = true;
    const payload = closePayload({ code, text }, this.byteOps);
    this.sendFrame(OPCODE.close, payload, payload.length);
  }

  private sendFrame(opcode: number, data: IoData, size: number): void {
    if (this.deflate === undefined) this.writeFrame(FIN | opcode, data, size);
    else this.deflate.output.send(opcode, data, size);
  }

  writeFrame(firstByte: number, data: IoData, size: number): void {
    if (this.closeWritten) return;
    const writer = this.ownWriter;
    // With a backlog, the frame may wait for a long time, so it must not occupy the shared slab.
    if (this.stream.buffered > 0) writer.useOwnSlab(true);
    writer.add(firstByte, data, size);
    if (firstByte === (FIN | OPCODE.close)) {
      this.onCloseWritten();
      return;
    }
    if (writer.bytes >= FLUSH_THRESHOLD) this.writeOut();
    // Even if everything is flushed: the session may be waiting for `onDrain`.
    this.flushLater();
  }

  writeFrames(frames: Uint8Array): void {
    this.addFrames(frames);
    this.flushLater();
  }

  onCompressedSent(bytes: number): void {
    const { wire } = this.session;
    if (wire !== undefined) wire.sent.compressedBytes += bytes;
  }

  private addFrames(frames: Uint8Array): void {
    if (this.closeWritten) return;
    const writer = this.ownWriter;
    if (this.stream.buffered > 0) writer.useOwnSlab(true);
    writer.addFrames(frames);
    if (writer.bytes >= FLUSH_THRESHOLD) this.writeOut();
  }

  private onCloseWritten(): void {
    this.closeWritten = true;
    this.writeOut();
    // RFC 6455 §7.1.1: after both close frames, the server closes the TCP connection first.
    if (this.discarding) this.stream.end();
  }

  pause(): void {
    this.paused = true;
    this.updateStopped();
    this.stream.pause();
  }

  resume(): void {
    this.paused = false;
    this.updateStopped();
    if (!this.deflate?.inflating) this.continueReading();
  }

  private continueReading(): void {
    this.parse();
    if (!this.paused && !this.deflate?.inflating) this.stream.resume();
  }

  abort(): void {
    this.stream.destroy();
  }
}
