/** The raw client: it sends exactly what it is told to, and holds what comes back to the RFC. */
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
 * How frames go out: in one chunk, each in its own, or in chunks of so many octets. The transport has taken a chunk before
 * the next is written.
 */
export type Delivery = "whole" | "apart" | number;

/** What a peer has of the run it is part of. */
export interface Surroundings {
  readonly target: WireTarget;
  /** How many ms without any progress are a failure. */
  readonly timeout: number;
  /** How many ms to wait for what should come at once, and may come later. */
  readonly patience: number;
  /** Writes down how the server deviates. */
  note(outcome: Outcome, reason: string): void;
}

/**
 * TCP keeps no chunks apart: those written before the other side reads arrive as one. So it is given the time to read
 * between them, a millisecond where they are few.
 */
const FEW_CHUNKS = 300;

/** Codes by which a server says that it does not want so much. */
const LIMITS: Readonly<Record<number, string>> = { 1008: "against its policy", 1009: "message too big" };

type Opener = Pick<WireTarget, "open">;

const hasEnded = ({ kind }: Got): boolean => kind === "close" || kind === "end" || kind === "reset";

export class Peer {
  /** `undefined`: no compression was agreed on. */
  readonly params: DeflateParams | undefined;
  readonly protocol: string | undefined;
  /** Cuts the connection off. */
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
      this.wake(); // it is progress
    });
    stream.once("end", () => {
      const why = whyReset();
      this.finishWith(why === undefined ? { kind: "end" } : { kind: "reset", why });
    });
    stream.once("error", (error) => this.finishWith({ kind: "reset", why: error.message }));
    stream.once("close", () => this.finishWith({ kind: "reset", why: whyReset() ?? "closed" }));
    stream.on("error", () => undefined);
    stream.resume(); // whoever opened it may have paused it
  }

  /** @param on where, if not simply at the target */
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
    if (this.deflate === undefined) throw new Failure("the case compresses without asking whether it may");
    return fragments(opcode, parts(this.deflate.compress(payload, options), fragmentSize), { rsv: 4 });
  }

  /** Sends octets as they are, so many in a chunk. */
  async chop(octets: Buffer, size = Number.POSITIVE_INFINITY): Promise<void> {
    await this.chunks(parts(octets, size));
  }

  /** Sends each in a chunk of its own, as far as that can be had. */
  async chunks(chunks: readonly Buffer[]): Promise<void> {
    for (const [i, chunk] of chunks.entries()) {
      if (i > 0) await (chunks.length > FEW_CHUNKS ? setImmediate() : setTimeout(1));
      await this.write(chunk);
    }
  }

  /** What does not get through shows in what does not come back. */
  private async write(octets: Buffer): Promise<void> {
    const { stream } = this;
    if (!stream.writable) return;
    await this.inTime("the server to take what is sent", (done) => {
      stream.write(octets, () => done());
    });
  }

  /** Ends our direction. */
  endWriting(): void {
    this.stream.end();
  }

  // --- receiving

  /** What comes next; waits for it. */
  async next(what: string): Promise<Got> {
    return (await this.nextWithin(this.surroundings.timeout, what))!;
  }

  /** What comes next, if it comes before so many ms have passed without anything. */
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
      // A heartbeat. To answer it could break a frame that is half sent, and nothing here takes so long.
      if (got.kind === "ping") continue;
      return (got.kind === "text" || got.kind === "binary") && got.compressed ? this.inflate(got) : got;
    }
  }

  private inflate(got: Got & { kind: "text" | "binary" }): Got {
    const payload = this.deflate!.inflate(got.payload);
    if (got.kind === "text" && !isUtf8(payload)) throw new Failure("the server sent a text that is not UTF-8 (§5.6)");
    return { ...got, payload };
  }

  /** @throws Failure if it takes too long and `what` says that this is one; otherwise it returns `false` */
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

  // --- what the cases demand

  note(outcome: Outcome, reason: string): void {
    this.surroundings.note(outcome, reason);
  }

  /** These answers come, and nothing else before them. */
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

  /** Nothing more comes: the closing handshake is the barrier, for what is answered at all is answered before it. */
  async finishes(): Promise<void> {
    await this.send([close(1000)]);
    await this.closes([1000]);
  }

  /** The server's close frame is next, answering one of ours with this code, and then it ends the connection. */
  async closes(codes: readonly (number | undefined)[]): Promise<void> {
    const got = await this.next("the server's close frame");
    if (got.kind !== "close") throw new Failure(`expected the answer to our close frame, got ${describe(got)}`);
    // §5.5.1: it "typically echos the status code it received".
    if (!codes.includes(got.code)) {
      this.note("non-strict", `answered close ${codes[0] ?? "without a code"} with ${describe(got)} (§5.5.1)`);
    }
    await this.ends();
  }

  /** §5.5.1, §7.1.1: after both close frames the server MUST close the connection at once. */
  async ends(): Promise<void> {
    const got = await this.next("the server to close the connection (§5.5.1)");
    if (got.kind === "reset") this.note("non-strict", "reset the connection instead of closing it (§7.1.1)");
    else if (got.kind !== "end") throw new Failure(`expected the end of the connection, got ${describe(got)}`);
  }

  /**
   * The server fails the connection (§7.1.7) with one of these codes.
   *
   * @param before what it owes for frames that came before the bad one
   */
  async fails(codes: readonly FailureCode[], before: readonly Answer[] = []): Promise<void> {
    const owed = new Owed(before, (outcome, reason) => this.note(outcome, reason));
    let got = await this.nextOrProbe(codes[0]);
    for (; !hasEnded(got) && owed.open.length > 0; got = await this.nextOrProbe(codes[0])) owed.pay(got);
    if (owed.open.length > 0) this.note("non-strict", "failed the connection without an answer to what came before");
    await this.failed(got, codes);
  }

  /** What comes next. If that takes long, a ping tells whether the server has let pass what it should have failed at. */
  private async nextOrProbe(code: FailureCode | undefined): Promise<Got> {
    const soon = await this.nextSoon();
    if (soon !== undefined) return soon;
    const probe = ping("do you go on?");
    await this.send([probe]);
    const got = await this.next(`the connection to be failed with ${code}`);
    if (got.kind === "pong" && got.payload.equals(probe.payload)) {
      throw new Failure(`the connection should have been failed with ${code}, but goes on`);
    }
    return got;
  }

  /** Judges how the server has failed the connection. */
  async failed(got: Got, codes: readonly FailureCode[]): Promise<void> {
    if (!hasEnded(got))
      throw new Failure(`expected the connection to be failed with ${codes[0]}, got ${describe(got)}`);
    if (got.kind !== "close") {
      // §7.1.7: it SHOULD send a close frame first.
      if (!codes.includes("drop"))
        this.note("non-strict", `ended with ${describe(got)}, without a close frame (§7.1.7)`);
      return;
    }
    if (!codes.includes(got.code as number))
      this.note("non-strict", `failed with ${describe(got)} instead of ${codes[0]}`);
    // Nobody has to answer the close frame of a failed connection: the server closes by itself.
    const end = await this.nextSoon();
    if (end === undefined) {
      this.note("non-strict", "failed the connection, but left it open until its close frame was answered (§7.1.7)");
      await this.send([close(got.code)]);
      await this.ends();
    } else if (!hasEnded(end)) throw new Failure(`expected the end of the connection, got ${describe(end)}`);
  }
}

/** A close code; `"drop"`: it need not be told by a close frame. */
export type FailureCode = number | "drop";
