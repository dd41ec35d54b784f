/** Properties of sessions under any interleaving of events. */
import fc from "fast-check";
import { ProtocolError } from "../../src/errors.ts";
import type { ControlMessage, DataMessage } from "../../src/message.ts";
import { SessionGroup } from "../../src/session/group.ts";
import { HEARTBEAT } from "../../src/session/liveness.ts";
import { fuzz } from "../support/fuzz.ts";
import { CALM, CLOSE_TIMEOUT, type MessageSpec, overflow, type Setting, type Step, setting, step, TIMEOUT } from "./session-script.ts"; // biome-ignore format: one line
import type { Arrival } from "./session-wire.ts";
import { SessionWorld } from "./session-world.ts";
import { SteppedClock } from "./stepped-clock.ts";
import { strayErrors } from "./stray.ts";
import { Verdict } from "./verdict.ts";

const heartbeat = new TextEncoder().encode(HEARTBEAT);

/** Several sessions of one group, and the steps of their script. */
class Worlds {
  readonly clock = new SteppedClock();
  readonly group = new SessionGroup(this.clock);
  readonly worlds: readonly SessionWorld[];
  private readonly verdict = new Verdict();
  private readonly closings: { readonly promise: Promise<void>; over: boolean }[] = [];

  constructor(settings: readonly Setting[]) {
    this.worlds = settings.map((setting) => new SessionWorld(setting, this.clock, this.group, this.verdict));
  }

  async run(steps: readonly (readonly [which: number, Step])[]): Promise<void> {
    this.check();
    for (const [which, step] of steps) {
      // Only this step awaits: awaiting in others would let promises settle.
      if (step.do === "let promises settle") await this.flush();
      else this.take(this.worlds[which % this.worlds.length]!, step);
      this.check();
    }
    await this.end();
  }

  private check(): void {
    for (const world of this.worlds) world.check();
  }

  private take(world: SessionWorld, step: Step): void {
    const { wire } = world;
    switch (step.do) {
      case "chunk":
        if (!wire.discarding)
          wire.arrive([...step.messages.map((spec) => arrivalOf(world, spec)), ...lastWords(step.end)]);
        return;
      case "flood": {
        const spec: MessageSpec = { opcode: "binary", size: step.size, reaction: CALM };
        if (!wire.discarding) wire.arrive(Array.from({ length: step.count }, () => arrivalOf(world, spec)));
        return;
      }
      case "info":
        world.send(step.reaction);
        return;
      case "infos":
        for (let i = 0; i < step.count; i++) world.send(CALM);
        return;
      case "settle": {
        const open = world.promises.filter(({ canSettle }) => canSettle);
        open[step.which % open.length]?.settle();
        return;
      }
      case "turn":
        this.turn();
        return;
      case "advance":
        this.clock.advance(step.ms);
        return;
      case "stop reading":
        wire.reads = false;
        return;
      case "read again":
        wire.reads = true;
        wire.flush(Number.POSITIVE_INFINITY);
        return;
      case "take":
        wire.flush(step.bytes);
        return;
      case "drained":
        wire.drained();
        return;
      case "lose":
        wire.disconnect();
        return;
      case "abort":
        world.session.abort();
        return;
      case "shut down":
        world.shutDown(step.code);
        return;
      case "close the group":
        for (const world of this.worlds) world.expectShutdown(1001);
        this.watch(this.group.close());
        return;
      case "drain the group": {
        const { interval, deadline } = step;
        for (const world of this.worlds) world.expectShutdown(1012);
        this.watch(this.group.drain({ batch: 1, interval, deadline }));
      }
    }
  }

  private watch(promise: Promise<void>): void {
    const closing = { promise, over: false };
    this.closings.push(closing);
    void promise.then(() => {
      closing.over = true;
    });
  }

  private turn(): void {
    for (const world of this.worlds) world.expectTick();
    this.clock.turn();
  }

  private async flush(): Promise<void> {
    for (const world of this.worlds) world.beginFlush();
    await new Promise(setImmediate);
    for (const world of this.worlds) world.checkFlushed();
    const isEmpty = this.worlds.every(({ ends }) => ends === 1);
    this.verdict.same(this.group.size, this.worlds.filter(({ ends }) => ends === 0).length, "the group's size");
    for (const { over } of this.closings)
      this.verdict.same(over, isEmpty, "whether a close or drain of the group has ended");
    this.verdict.same(strayErrors()[0], undefined, "an error reached the process");
    this.verdict.deliver();
  }

  private async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    this.check();
    this.turn();
    this.check();
    await this.flush();
  }

  /** Ends all sessions, and checks that nothing is left when all deadlines have passed. */
  private async end(): Promise<void> {
    for (const world of this.worlds) {
      if (world.setting.finale === "lose") world.wire.disconnect();
      if (world.setting.finale === "shut down") world.shutDown(1001);
    }
    await this.pass(0);
    // Silence ends a session only if its idle clock runs: it stands still while reading is paused.
    for (let i = 0; i < 5; i++) await this.pass(TIMEOUT);
    for (const world of this.worlds) world.shutDown(1001);
    for (let i = 0; i < 4; i++) await this.pass(CLOSE_TIMEOUT);
    for (const world of this.worlds) world.checkOver();
    this.verdict.holds(this.clock.isIdle, "something is still scheduled");
    // Promises that settle now must have no effect.
    for (const { promises } of this.worlds) for (const promise of promises) promise.settle();
    await this.pass(TIMEOUT);
    this.verdict.holds(this.clock.isIdle, "something is scheduled again");
    this.verdict.deliver();
  }
}

const arrivalOf = (world: SessionWorld, { opcode, size, reaction }: MessageSpec): Arrival => {
  const data = opcode === "heartbeat's pong" ? heartbeat.slice() : new Uint8Array(size);
  if (opcode === "text" || opcode === "binary") {
    // Adjacent values differ, so that their order can be checked.
    const letter = String.fromCharCode(0x61 + (world.registered % 26));
    const message: DataMessage = opcode === "text" ? { opcode, data: letter.repeat(size) } : { opcode, data };
    world.register(message, reaction);
    return { kind: "message", message, size };
  }
  const message: ControlMessage = { opcode: opcode === "ping" ? "ping" : "pong", data: data.subarray(0, 125) };
  world.register(message, reaction);
  return { kind: "control", message };
};

const lastWords = (end: "open" | "close" | "close 4000" | "fail"): Arrival[] => {
  if (end === "close") return [{ kind: "close", code: undefined, text: "" }];
  if (end === "close 4000") return [{ kind: "close", code: 4000, text: "bye" }];
  if (end === "fail") return [{ kind: "failure", error: new ProtocolError(1007, "a text that is not UTF-8") }];
  return [];
};

const steps = (maxLength: number) => fc.array(fc.tuple(fc.nat(3), step), { maxLength, size: "max" });

export const sessions = [
  fuzz(
    "sessions: keep their contract for any events in any order",
    { runs: 1_000, share: 6 },
    fc.asyncProperty(setting, steps(40), (setting, steps) => new Worlds([setting]).run(steps)),
  ),

  fuzz(
    "sessions: end together when their group is closed or drained",
    { runs: 150, share: 2 },
    fc.asyncProperty(
      fc.array(setting, { minLength: 2, maxLength: 4 }),
      steps(25),
      steps(10),
      fc.constantFrom<Step>({ do: "close the group" }, { do: "drain the group", interval: 200, deadline: 500 }),
      (settings, before, after, end) => new Worlds(settings).run([...before, [0, end], ...after]),
    ),
  ),

  fuzz(
    "sessions: a mailbox overflows when it is full, not before",
    { runs: 3 },
    fc.asyncProperty(setting, steps(5), steps(10), (setting, before, after) =>
      new Worlds([setting]).run([...before, [0, overflow], ...after]),
    ),
  ),
];
