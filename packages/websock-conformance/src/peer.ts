/** The raw client: sends exactly the given bytes, and checks the server's answers against the RFC. */
import { isUtf8 } from "node:buffer";
import type { Duplex } from "node:stream";
import { setImmediate, setTimeout } from "node:timers/promises";
import { Deflate } from "./deflate.ts";
import { close, encode, type Frame, fragments, parts, ping } from "./frames.ts";
import { type DeflateParams, judgeAnswer } from "./negotiation.ts";
import { Failure, type Outcome } from "./outcome.ts";
import { type Answer, describe, Owed } from "./owed.ts";
import type { Compressed, Sent } from "./sent.ts";
import { type Got, ServerFrames } from "./server-frames.ts";
import type { Offer, Opened, WireTarget } from "./target.ts";

/**
 * How frames are sent: in one chunk, one frame per chunk, or in chunks of this many bytes. A chunk is flushed before
 * the next one is written.
 */
export type Delivery = "whole" | "apart" | number;

/** The part of a run that a peer uses. */
export interface Surroundings {
  readonly target: WireTarget;
  /** A case fails after this many milliseconds without any progress. */
  readonly timeout: number;
  /** How many milliseconds to wait for an answer that should come immediately, but may come later. */
  readonly patience: number;
  /** Records a deviation of the server. */
  note(outcome: Outcome, reason: string): void;
}

/**
 * TCP does not preserve chunks: chunks that are written before the server reads arrive as one. So the client waits
 * between chunks: one millisecond if there are at most this many, else one event-loop tick.
 */
const FEW_CHUNKS = 300;

/** Close codes with which a server enforces a limit. */
const LIMITS: Readonly<Record<number, string>> = { 1008: "policy violation", 1009: "message too big" };

type Opener = Pick<WireTarget, "open">;

const hasEnded = ({ kind }: Got): boolean => kind === "close" || kind === "end" || kind === "reset";

export class Peer {
  /** `undefined`: compression was not negotiated. */
  readonly params: DeflateParams | undefined;
  readonly protocol: string | undefined;
  /** Aborts the connection. */
  readonly destroy: () => void;
  private readonly stream: Duplex;
  private readonly surroundings: Surroundings;
  private readonly deflate: Deflate | undefined;
  private readonly got: (Got | Failure)[] = [];
  private over = false;
  private wake: () => void = () => undefined;

  private constructor(
    { stream, reset = () => stream.destroy(), whyReset = () => undefined, protocol }: Opened,
    params: DeflateParams | undefined,
    surroundings: Surroundings,
  ) {
    this.stream = stream;
    this.destroy = reset;
    this.params = params;
    this.protocol = protocol;
    this.surroundings = surroundings;
    this.deflate = params && new Deflate(params);
    const reader = new ServerFrames(params !== undefined, (got) => this.add(got));
    stream.on("data", (chunk: Buffer) => {
      try {
        if (!this.over) reader.push(chunk);
      } catch (error) {
        this.finishWith(error as Failure);
      }
      this.wake(); // data is progress
    });
    stream.once("end", () => {
      const why = whyReset();
      this.finishWith(why === undefined ? { kind: "end" } : { kind: "reset", why });
    });
    stream.once("error", (error) => this.finishWith({ kind: "reset", why: error.message }));
    stream.once("close", () => this.finishWith({ kind: "reset", why: whyReset() ?? "closed" }));
    stream.on("error", () => undefined);
    stream.resume(); // the target may have paused it
  }

  /** @param on the connection to open it on, instead of the target */
  static async open(surroundings: Surroundings, offer: Offer = {}, on: Opener = surroundings.target): Promise<Peer> {
    const opened = await on.open(offer);
    try {
      return new Peer(opened, judgeAnswer([offer.extensions ?? []].flat(), opened.extensions), surroundings);
    } catch (error) {
      opened.stream.on("error", () => undefined).destroy();
      throw error;
    }
  }

  private add(got: Got | Failure): void {
    this.got.push(got);
    this.wake();
  }

  private finishWith(got: Got | Failure): void {
    if (!this.over) this.add(got);
    this.over = true;
  }

  // --- sending

  async send(sent: readonly Sent[], delivery: Delivery = "whole"): Promise<void> {
    const frames = sent.flatMap((one) => ("fin" in one ? [one] : this.compress(one)));
    if (delivery === "apart") await this.chunks(frames.map((frame) => encode([frame])));
    else await this.chop(encode(frames), delivery === "whole" ? Number.POSITIVE_INFINITY : delivery);
  }

  private compress({ opcode, payload, fragmentSize, options }: Compressed): Frame[] {
    if (this.deflate === undefined) throw new Failure("the case compresses although compression was not negotiated");
    return fragments(opcode, parts(this.deflate.compress(payload, options), fragmentSize), { rsv: 4 });
  }

  /** Sends bytes as they are, in chunks of a size. */
  async chop(bytes: Buffer, size = Number.POSITIVE_INFINITY): Promise<void> {
    await this.chunks(parts(bytes, size));
  }

  /** Sends each buffer in a chunk of its own, as far as TCP allows. */
  async chunks(chunks: readonly Buffer[]): Promise<void> {
    for (const [i, chunk] of chunks.entries()) {
      if (i > 0) await (chunks.length > FEW_CHUNKS ? setImmediate() : setTimeout(1));
      await this.write(chunk);
    }
  }

  /** Does not report a failed write: missing answers show it. */
  private async write(bytes: Buffer): Promise<void> {
    const { stream } = this;
    if (!stream.writable) return;
    await this.inTime("the server to read what is sent", (done) => {
      stream.write(bytes, () => done());
    });
  }

  /** Ends the client's direction of the stream. */
  endWriting(): void {
    this.stream.end();
  }

  // --- receiving

  /** Waits for the next event. */
  async next(what: string): Promise<Got> {
    return (await this.nextWithin(this.surroundings.timeout, what))!;
  }

  /** The next event; `undefined` if nothing happens for `patience` milliseconds. */
  async nextSoon(): Promise<Got | undefined> {
    return this.nextWithin(this.surroundings.patience);
  }

  private async nextWithin(ms: number, what?: string): Promise<Got | undefined> {
    for (;;) {
      while (this.got.length === 0) {
        const woken = await this.inTime(what, (done) => (this.wake = done), ms);
        if (!woken) return undefined;
      }
      const got = this.got.shift()!;
      if (got instanceof Failure) throw got;
      // A heartbeat. Answering it could corrupt a frame that is partly sent, and no case takes long enough to need it.
      if (got.kind === "ping") continue;
      return (got.kind === "text" || got.kind === "binary") && got.compressed ? this.inflate(got) : got;
    }
  }

  private inflate(got: Got & { kind: "text" | "binary" }): Got {
    const payload = this.deflate!.inflate(got.payload);
    if (got.kind === "text" && !isUtf8(payload)) throw new Failure("the server sent a text that is not UTF-8 (§5.6)");
    return { ...got, payload };
  }

  /**
   * Resolves with `true` when `start` calls `done`, or with `false` after `ms` milliseconds.
   *
   * @throws Failure instead of `false` if `what` names what the client waits for
   */
  private inTime(
    what: string | undefined,
    start: (done: () => void) => void,
    ms = this.surroundings.timeout,
  ): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = globalThis.setTimeout(() => {
        if (what === undefined) resolve(false);
        else reject(new Failure(`waited ${ms} ms for ${what}`));
      }, ms);
      start(() => {
        clearTimeout(timer);
        resolve(true);
      });
    });
  }

  // --- expectations

  note(outcome: Outcome, reason: string): void {
    this.surroundings.note(outcome, reason);
  }

  /** Expects these answers, and nothing else before them. */
  async answers(expected: readonly Answer[]): Promise<void> {
    const owed = new Owed(expected, (outcome, reason) => this.note(outcome, reason));
    for (let open = owed.open; open.length > 0; open = owed.open) {
      const got = await this.next(describe(open[0]!));
      const limit = got.kind === "close" ? LIMITS[got.code!] : undefined;
      if (limit)
        throw new Failure(`a limit of the server: ${limit} (${describe(got)}); expected ${describe(open[0]!)}`);
      owed.pay(got);
    }
  }

  /** Expects no further answers: closes the connection, because the server sends all answers before its close frame. */
  async finishes(): Promise<void> {
    await this.send([close(1000)]);
    await this.closes([1000]);
  }

  /** Expects the answer to the client's close frame, with one of these codes, and then the end of the connection. */
  async closes(codes: readonly (number | undefined)[]): Promise<void> {
    const got = await this.next("the server's close frame");
    if (got.kind !== "close")
      throw new Failure(`expected the answer to the client's close frame, got ${describe(got)}`);
    // §5.5.1: it "typically echos the status code it received".
    if (!codes.includes(got.code)) {
      this.note("non-strict", `answered close ${codes[0] ?? "without a code"} with ${describe(got)} (§5.5.1)`);
    }
    await this.ends();
  }

  /** §5.5.1, §7.1.1: after both close frames the server MUST close the connection immediately. */
  async ends(): Promise<void> {
    const got = await this.next("the server to close the connection (§5.5.1)");
    if (got.kind === "reset") this.note("non-strict", "reset the connection instead of closing it (§7.1.1)");
    else if (got.kind !== "end") throw new Failure(`expected the end of the connection, got ${describe(got)}`);
  }

  /**
   * Expects the server to fail the connection (§7.1.7) with one of these codes.
   *
   * @param before the answers that it owes for frames before the invalid one
   */
  async fails(codes: readonly FailureCode[], before: readonly Answer[] = []): Promise<void> {
    const owed = new Owed(before, (outcome, reason) => this.note(outcome, reason));
    let got = await this.nextOrProbe(codes[0]);
    for (; !hasEnded(got) && owed.open.length > 0; got = await this.nextOrProbe(codes[0])) owed.pay(got);
    if (owed.open.length > 0) this.note("non-strict", "failed the connection without answering the frames before");
    await this.failed(got, codes);
  }

  /**
   * The next event. If there is none for a while, a ping finds out whether the server has accepted the invalid frame.
   */
  private async nextOrProbe(code: FailureCode | undefined): Promise<Got> {
    const soon = await this.nextSoon();
    if (soon !== undefined) return soon;
    const probe = ping("do you continue?");
    await this.send([probe]);
    const got = await this.next(`the connection to be failed with ${code}`);
    if (got.kind === "pong" && got.payload.equals(probe.payload)) {
      throw new Failure(`expected the connection to be failed with ${code}, but it continues`);
    }
    return got;
  }

  /** Checks how the server has failed the connection. */
  async failed(got: Got, codes: readonly FailureCode[]): Promise<void> {
    if (!hasEnded(got))
      throw new Failure(`expected the connection to be failed with ${codes[0]}, got ${describe(got)}`);
    if (got.kind !== "close") {
      // §7.1.7: it SHOULD send a close frame first.
      if (!codes.includes("drop")) this.note("non-strict", `got ${describe(got)} without a close frame (§7.1.7)`);
      return;
    }
    if (!codes.includes(got.code as number))
      this.note("non-strict", `failed with ${describe(got)} instead of ${codes[0]}`);
    // A client need not answer the close frame of a failed connection: the server closes the connection by itself.
    const end = await this.nextSoon();
    if (end === undefined) {
      this.note(
        "non-strict",
        "failed the connection, but did not close it before its close frame was answered (§7.1.7)",
      );
      await this.send([close(got.code)]);
      await this.ends();
    } else if (!hasEnded(end)) throw new Failure(`expected the end of the connection, got ${describe(end)}`);
  }
}

/** A close code; `"drop"`: the server may omit the close frame. */
export type FailureCode = number | "drop";
