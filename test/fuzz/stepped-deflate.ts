/** zlib whose asynchronous tasks complete when the test says so. */
import { nodeDeflate } from "../../src/adapters/node/deflate.ts";
import type {
  Deflate,
  DeflateOptions,
  Inflated,
  InflateFailure,
  InflateOptions,
} from "../../src/protocol/deflate/deflate-port.ts";

export class SteppedDeflate implements Deflate {
  readonly deflateSync = nodeDeflate.deflateSync;
  readonly inflateSync = nodeDeflate.inflateSync;
  private readonly work: (() => void)[] = [];

  get isBusy(): boolean {
    return this.work.length > 0;
  }

  // Input is read as late as possible, to find callers that reuse its memory too early.
  deflate(data: Uint8Array, options: DeflateOptions, done: (bytes: Uint8Array) => void): void {
    this.work.push(() => done(this.deflateSync(data, options)));
  }

  inflate(data: Uint8Array, options: InflateOptions, done: (result: Inflated | InflateFailure) => void): void {
    this.work.push(() => done(this.inflateSync(data, options)));
  }

  /** Completes one task: the oldest or the newest. */
  step(newest: boolean): void {
    (newest ? this.work.pop() : this.work.shift())?.();
  }
}
