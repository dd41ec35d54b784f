/**
 * Properties of topics: in random programs, each member receives exactly what a simple model predicts. They are checked
 * with members in memory, to whom each message is sent when it is published, and with members who share the frames of
 * an event-loop tick.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { binary, type OutMessage, ping, text } from "../../src/message.ts";
import { ioLength } from "../../src/protocol/io-data.ts";
import { SharedMessages } from "../../src/protocol/shared-messages.ts";
import type { PubSub, Subscription } from "../../src/pubsub/index.ts";
import { testPubSub } from "../../src/testing/test-pubsub.ts";
import type { Self } from "../../src/websock.ts";
import { makeWire } from "../protocol/fake-wire.ts";
import { ByteHost } from "../pubsub/byte-members.ts";
import { join as joinMembers, type Member } from "../pubsub/members.ts";
import { join } from "../support/client-frames.ts";
import { fuzz } from "../support/fuzz.ts";
import { host as anyHost } from "./streams.ts";
import { type TopicClient, TopicServer } from "./topic-server.ts";

const TOPICS = ["a", "b", "c"];
/** The size of every message, so that the model can count. */
const SIZE = 10;
/** How many messages may be buffered: for a connection, and for a member with `slow: "drop"`. */
const LIMIT = 6;
const DROP_LIMIT = 3;

type Kind = "close" | "drop";

/** What one connection is expected to receive. */
class Model {
  readonly holders = new Map<string, number>(TOPICS.map((topic) => [topic, 0]));
  readonly missed = new Map<string, number>(TOPICS.map((topic) => [topic, 0]));
  readonly texts: string[] = [];
  infos: string[] = [];
  waiting = 0;
  reads = true;
  open = true;
  readonly kind: Kind;

  constructor(kind: Kind) {
    this.kind = kind;
  }

  private send(message: string): void {
    this.texts.push(message);
    if (!this.reads) this.waiting++;
  }

  push(message: string): void {
    if (!this.open) return;
    if (this.waiting > 0 && this.waiting + 1 > LIMIT) this.end();
    else this.send(message);
  }

  publish(topic: string, message: string): void {
    if (!this.open || this.holders.get(topic) === 0) return;
    const limit = this.kind === "drop" ? DROP_LIMIT : LIMIT;
    if (this.waiting > 0 && this.waiting + 1 > limit) {
      if (this.kind === "drop") this.missed.set(topic, this.missed.get(topic)! + 1);
      else this.end();
      return;
    }
    this.announceGap(topic);
    this.send(message);
  }

  broadcast(topic: string, info: string): void {
    if (!this.open || this.holders.get(topic) === 0) return;
    this.announceGap(topic);
    this.infos.push(info);
  }

  subscribe(topic: string): void {
    if (this.open) this.holders.set(topic, this.holders.get(topic)! + 1);
  }

  release(topic: string, all: boolean): void {
    this.holders.set(topic, all ? 0 : this.holders.get(topic)! - 1);
    if (this.holders.get(topic) === 0) this.missed.set(topic, 0);
  }

  end(): void {
    this.open = false;
    this.infos = [];
    for (const topic of TOPICS) this.release(topic, true);
  }

  private announceGap(topic: string): void {
    const missed = this.missed.get(topic)!;
    if (missed > 0) this.infos.push(`${topic} missed ${missed}`);
    this.missed.set(topic, 0);
  }
}

const KINDS: readonly Kind[] = ["close", "close", "drop", "drop"];

const member = fc.nat(KINDS.length - 1);
const topic = fc.constantFrom(...TOPICS);
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant("publish" as const), topic, except: fc.option(member) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("broadcast" as const), topic, except: fc.option(member) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("subscribe" as const), topic, member }) },
  fc.record({ type: fc.constantFrom("cancel" as const, "unsubscribe" as const), topic, member }),
  fc.record({ type: fc.constantFrom("push" as const, "block" as const, "block" as const, "read" as const), member }),
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom("settle" as const, "stop" as const, "leave" as const), member }),
  },
);

/** A message has 8 bytes, and its frame 10. */
const BYTE_LIMIT = 40;

const excepted = fc.subarray([...KINDS.keys()]);
const SERVER_STEPS = [
  { weight: 6, arbitrary: fc.record({ type: fc.constant("publish" as const), topic, excepted }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("subscribe" as const), topic, member }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constantFrom("cancel" as const, "unsubscribe" as const), topic, member }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("push" as const), member }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("stop" as const), member }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("tick" as const) }) },
] as const;
const serverStep = fc.oneof(...SERVER_STEPS);
const anyStep = fc.oneof(...SERVER_STEPS, {
  weight: 3,
  arbitrary: fc.record({
    type: fc.constantFrom("answer" as const, "stall" as const, "read" as const, "leave" as const),
    member,
  }),
});

type Step = typeof anyStep extends fc.Arbitrary<infer S> ? S : never;

const programOf = <S>(step: fc.Arbitrary<S>) => fc.array(step, { minLength: 10, maxLength: 80, size: "max" });

/** What a member is expected to receive. */
class ByteModel {
  readonly expected: string[] = [];
  readonly holders = new Map<string, number>();
  open = true;
  stalled = false;
  waiting = 0;
  missed = 0;
  readonly drops: boolean;

  constructor(drops: boolean) {
    this.drops = drops;
  }

  private add(message: string): void {
    this.expected.push(`text ${message}`);
    this.waiting += 10;
  }

  push(message: string): void {
    if (this.open) this.add(message);
  }

  publish(name: string, message: string): void {
    if (!this.open || (this.holders.get(name) ?? 0) === 0) return;
    if (this.drops && this.waiting > 0 && this.waiting + 8 > BYTE_LIMIT) this.missed++;
    else this.add(message);
  }

  subscribe(name: string): void {
    if (this.open) this.holders.set(name, (this.holders.get(name) ?? 0) + 1);
  }

  end(frame: string): void {
    if (this.open) this.expected.push(frame);
    this.open = false;
    this.holders.clear();
  }

  flushed(): void {
    if (!this.stalled) this.waiting = 0;
  }
}

/** Members whose clients a program controls. The handler answers each message with the same message. */
interface SharingMember {
  readonly self: Self<string>;
  /** The frames that the client has received, in words. */
  readonly sent: () => readonly string[];
  readonly receive: (message: string) => void;
  readonly leave: () => void;
  readonly stall: () => void;
  readonly read: () => void;
  /** It subscribes with `slow: "drop"`. */
  readonly drops: boolean;
}

/** Clients that only receive: they can't be told to do anything. */
const PASSIVE = { receive: unexpected, leave: unexpected, stall: unexpected, read: unexpected, drops: false };

function unexpected(): never {
  throw new Error("not in this program");
}

/** Runs a program with members who share frames. Returns what each one should have received. */
const runProgram = async (
  program: readonly Step[],
  pubsub: PubSub,
  members: readonly SharingMember[],
  tick: () => void | Promise<void>,
): Promise<readonly ByteModel[]> => {
  const models = members.map(({ drops }) => new ByteModel(drops));
  const held = models.map(() => new Map<string, Subscription[]>(TOPICS.map((name) => [name, []])));
  for (const [n, step] of program.entries()) {
    const message = String(n).padStart(8, "0");
    if (step.type === "tick") {
      await tick();
      for (const model of models) model.flushed();
      continue;
    }
    if (step.type === "publish") {
      const except = step.excepted.map((i) => members[i]!.self);
      const [only] = except;
      pubsub.topic(step.topic).publish(text(message), { except: except.length === 1 ? only! : except });
      for (const [i, model] of models.entries()) if (!step.excepted.includes(i)) model.publish(step.topic, message);
      continue;
    }
    const target = members[step.member]!;
    const model = models[step.member]!;
    const subscriptions = held[step.member]!;
    switch (step.type) {
      case "subscribe": {
        const options = model.drops ? ({ slow: "drop", maxBuffered: BYTE_LIMIT } as const) : {};
        subscriptions.get(step.topic)!.push(pubsub.topic<string>(step.topic).subscribe(target.self, options));
        model.subscribe(step.topic);
        break;
      }
      case "cancel": {
        const subscription = subscriptions.get(step.topic)!.pop();
        subscription?.cancel();
        const left = model.holders.get(step.topic) ?? 0;
        if (subscription !== undefined && left > 0) model.holders.set(step.topic, left - 1);
        break;
      }
      case "unsubscribe":
        pubsub.topic(step.topic).unsubscribe(target.self);
        subscriptions.set(step.topic, []);
        model.holders.set(step.topic, 0);
        break;
      case "push":
        target.self.push(text(message));
        model.push(message);
        break;
      case "answer":
        if (!model.open) break;
        target.receive(message);
        model.push(message);
        break;
      case "stall":
        target.stall();
        model.stalled = true;
        break;
      case "read":
        // Nothing is flushed that was not written before.
        await tick();
        target.read();
        model.stalled = false;
        for (const each of models) each.flushed();
        break;
      case "stop":
        target.self.stop("normal");
        model.end("close 1000");
        break;
      case "leave":
        if (!model.open) break;
        target.leave();
        model.end("close");
    }
    for (const name of TOPICS)
      assert.equal(pubsub.topic(name).size, models.filter(({ holders }) => (holders.get(name) ?? 0) > 0).length);
  }
  return models;
};

const assertReceived = (members: readonly SharingMember[], models: readonly ByteModel[]): void => {
  for (const [i, { sent }] of members.entries()) assert.deepEqual(sent(), models[i]!.expected);
};

const message: fc.Arbitrary<OutMessage> = fc.oneof(
  fc.string({ unit: "binary", maxLength: 200 }).map(text),
  fc.array(fc.string({ unit: "binary" }), { maxLength: 3 }).map(text),
  fc.uint8Array({ maxLength: 200 }).map(binary),
  fc.constantFrom(text("x".repeat(65_536)), binary(new Uint8Array(20_000)), ping(), ping("x"), {
    opcode: "text",
  } as const),
);

export const topics = [
  fuzz(
    "topics: shared frames are those that a connection sends for the same messages, in any slices",
    { runs: 300, share: 0.2 },
    fc.property(anyHost, fc.array(fc.tuple(message, fc.boolean()), { maxLength: 20 }), ({ byteOps }, added) => {
      const all = new SharedMessages(byteOps);
      const { stream, connection } = makeWire(byteOps);
      const slices: Uint8Array[] = [];
      let from = 0;
      const cut = (): void => {
        const { frames } = all.slice(from, all.count);
        assert.equal(all.frameBytes(from, all.count), frames.length);
        slices.push(frames);
        from = all.count;
      };
      for (const [each, cutsHere] of added) {
        all.add(each);
        const data = each.data ?? "";
        connection.send(each.opcode, data, ioLength(data, byteOps));
        if (cutsHere) cut();
      }
      cut();
      stream.tick();
      const sent = join(...stream.written);
      assert.deepEqual(join(...slices), sent);
      assert.deepEqual(new Uint8Array(all.slice(0, all.count).frames), sent);
    }),
  ),

  fuzz(
    "topics: members in memory receive what the model predicts",
    { runs: 300, share: 0.5 },
    fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 80, size: "max" }), async (program) => {
      const pubsub = testPubSub();
      const models = KINDS.map((kind) => new Model(kind));
      const infos = KINDS.map((): string[] => []);
      const expectedInfos = KINDS.map((): string[] => []);
      const members: Member[] = [];
      for (const i of KINDS.keys())
        members.push(
          await joinMembers(pubsub, [], {}, { maxBuffered: LIMIT * SIZE }, (info) => {
            infos[i]!.push(info);
            return ["ok", 0];
          }),
        );
      const held = KINDS.map(() => new Map<string, Subscription[]>(TOPICS.map((name) => [name, []])));
      const settle = async (i: number): Promise<void> => {
        expectedInfos[i]!.push(...models[i]!.infos.splice(0));
        await members[i]!.client.settled();
      };
      for (const [n, step] of program.entries()) {
        const message = String(n).padStart(SIZE, "0");
        if (step.type === "publish" || step.type === "broadcast") {
          const target = pubsub.topic<string>(step.topic);
          const except = step.except === null ? {} : { except: members[step.except]!.self };
          if (step.type === "publish") target.publish(text(message), except);
          else target.broadcast(message, except);
          for (const [i, model] of models.entries()) if (i !== step.except) model[step.type](step.topic, message);
          continue;
        }
        const i = step.member;
        const { client, self } = members[i]!;
        const model = models[i]!;
        if (step.type === "subscribe") {
          const drop = { slow: "drop", maxBuffered: DROP_LIMIT * SIZE } as const;
          const options =
            model.kind === "drop"
              ? { ...drop, onGap: (gap: { missed: number | undefined }) => `${step.topic} missed ${gap.missed}` }
              : {};
          held[i]!.get(step.topic)!.push(pubsub.topic<string>(step.topic).subscribe(self, options));
          model.subscribe(step.topic);
        } else if (step.type === "cancel") {
          const subscription = held[i]!.get(step.topic)!.pop();
          subscription?.cancel();
          if (subscription !== undefined && model.holders.get(step.topic)! > 0) model.release(step.topic, false);
        } else if (step.type === "unsubscribe") {
          pubsub.topic(step.topic).unsubscribe(self);
          held[i]!.set(step.topic, []);
          model.release(step.topic, true);
        } else if (step.type === "push") {
          self.push(text(message));
          model.push(message);
        } else if (step.type === "block") {
          client.stopReading();
          model.reads = false;
        } else if (step.type === "read") {
          client.resumeReading();
          model.reads = true;
          model.waiting = 0;
        } else if (step.type === "settle") {
          for (const [each, { infos: due }] of models.entries()) expectedInfos[each]!.push(...due.splice(0));
          for (const { client: each } of members) await each.settled();
        } else {
          if (step.type === "stop") self.stop("normal");
          else client.close(1000);
          model.end();
        }
        for (const name of TOPICS)
          assert.equal(pubsub.topic(name).size, models.filter(({ holders }) => holders.get(name)! > 0).length);
      }
      for (const [i, { client, texts }] of members.entries()) {
        client.resumeReading();
        await settle(i);
        assert.deepEqual(texts(), models[i]!.texts);
        assert.deepEqual(infos[i], expectedInfos[i]);
      }
    }),
  ),

  fuzz(
    "topics: members who share frames receive what the model predicts",
    { runs: 500, share: 0.5 },
    fc.asyncProperty(programOf(anyStep), async (program) => {
      const host = new ByteHost();
      const pubsub = testPubSub();
      const joined = KINDS.map(() => host.join(pubsub, [], { act: (_, message) => text(message) }));
      const members = joined.map(({ stream, ...member }, i) => ({
        ...member,
        drops: KINDS[i] === "drop",
        stall: () => {
          stream.stalled = true;
        },
        read: () => {
          stream.stalled = false;
          stream.drain();
        },
      }));
      const models = await runProgram(program, pubsub, members, () => host.tick());
      host.tick();
      for (const { read } of members) read();
      host.tick();
      assertReceived(members, models);
      for (const { errors } of joined) assert.deepEqual(errors, []);
      assert.equal(
        pubsub.stats.dropped,
        models.reduce((sum, { missed }) => sum + missed, 0),
      );
    }),
  ),

  fuzz(
    "topics: clients of a Node server receive what the model predicts",
    { runs: 20, share: 0.5 },
    fc.asyncProperty(programOf(serverStep), async (program) => {
      const pubsub = testPubSub();
      const server = await TopicServer.start();
      const clients: (SharingMember & TopicClient)[] = [];
      for (const _ of KINDS) clients.push({ ...PASSIVE, ...(await server.connect()) });
      const models = await runProgram(program, pubsub, clients, () => new Promise(setImmediate));
      for (const [i, { self }] of clients.entries()) {
        self.stop("normal");
        models[i]!.end("close 1000");
      }
      await Promise.all(clients.map(({ closed }) => closed));
      server.close();
      assertReceived(clients, models);
    }),
  ),
];
