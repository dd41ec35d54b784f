/** Random programs: each member gets exactly what a simple model predicts. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { text } from "websock-js";
import type { Subscription } from "websock-js/pubsub";
import { testPubSub } from "websock-js/testing";
import { join, type Member } from "./members.ts";

const TOPICS = ["a", "b"];
/** The size of every message, so that the model can count. */
const SIZE = 10;
/** How many messages fit: of a connection, and of a member that drops. */
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

test("members receive what the model predicts, for any program", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { minLength: 20, maxLength: 80, size: "max" }), async (program) => {
      const pubsub = testPubSub();
      const models = KINDS.map((kind) => new Model(kind));
      const infos = KINDS.map((): string[] => []);
      const expectedInfos = KINDS.map((): string[] => []);
      const members: Member[] = [];
      for (const i of KINDS.keys())
        members.push(
          await join(pubsub, [], {}, { maxBuffered: LIMIT * SIZE }, (info) => {
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
          expect(pubsub.topic(name).size).toBe(models.filter(({ holders }) => holders.get(name)! > 0).length);
      }
      for (const [i, { client, texts }] of members.entries()) {
        client.resumeReading();
        await settle(i);
        expect(texts()).toEqual(models[i]!.texts);
        expect(infos[i]).toEqual(expectedInfos[i]);
      }
    }),
    { numRuns: 300 },
  );
});
