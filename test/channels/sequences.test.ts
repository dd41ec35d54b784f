/** Random joins, leaves, rejoins, pushes and crashes over several topics of one connection, against a model. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { accept, channel, reply, stop } from "websock-js/channels";
import { type Deferred, deferred, nextTick } from "../support/promises.ts";
import { type Frame, quiet, serve } from "./phoenix-client.ts";

const TOPICS = ["room:1", "room:2", "room:3"];

type Step =
  | { readonly type: "join"; readonly topic: string }
  | { readonly type: "send"; readonly topic: string; readonly event: string; readonly stale: boolean }
  | { readonly type: "leave"; readonly topic: string }
  /** The pending callback of the topic settles. */
  | { readonly type: "release"; readonly topic: string };

const topic = fc.constantFrom(...TOPICS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ type: fc.constant("join" as const), topic }) },
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant("send" as const),
      topic,
      event: fc.constantFrom("count", "count", "slow", "slow crash", "crash", "stop"),
      stale: fc.nat(7).map((n) => n === 0),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("leave" as const), topic }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant("release" as const), topic }) },
);

/** A topic as the model sees it. */
interface Joined {
  readonly joinRef: string;
  /** Waits until the callback of an earlier join has settled. */
  isJoining: boolean;
  count: number;
  /** The message whose callback is pending. */
  pending: { readonly ref: string; readonly event: string } | undefined;
  waiting: { readonly ref: string; readonly event: string }[];
}

/** What the server is expected to send. */
class Model {
  readonly sent: Frame[] = [];
  private readonly joined = new Map<string, Joined>();
  /** The topics of which an earlier join has a pending callback. */
  private readonly completing = new Set<string>();

  joinRefOf(its: string): string | undefined {
    return this.joined.get(its)?.joinRef;
  }

  join(its: string, ref: string): void {
    const former = this.joined.get(its);
    if (former !== undefined) this.sent.push([former.joinRef, former.joinRef, its, "phx_close", {}]);
    if (former?.pending !== undefined) this.completing.add(its);
    const isJoining = this.completing.has(its);
    this.joined.set(its, { joinRef: ref, isJoining, count: 0, pending: undefined, waiting: [] });
    if (!isJoining) this.sendJoined(its, ref);
  }

  private sendJoined(its: string, ref: string): void {
    this.sent.push([ref, ref, its, "phx_reply", { status: "ok", response: {} }]);
  }

  message(its: string, joinRef: string, ref: string, event: string): void {
    const room = this.joined.get(its);
    if (room === undefined) {
      const reason =
        event === "phx_leave"
          ? { status: "ok", response: {} }
          : { status: "error", response: { reason: "unmatched topic" } };
      this.sent.push([event === "phx_leave" ? joinRef : null, ref, its, "phx_reply", reason]);
    } else if (room.joinRef === joinRef) {
      const isLeave = event === "phx_leave";
      if (room.isJoining ? isLeave : room.pending === undefined) this.handle(its, room, { ref, event });
      else room.waiting.push({ ref, event });
    }
  }

  release(its: string): void {
    const room = this.joined.get(its);
    if (this.completing.delete(its)) {
      if (room === undefined) return;
      room.isJoining = false;
      this.sendJoined(its, room.joinRef);
    } else {
      if (room?.pending === undefined) return;
      const { ref, event } = room.pending;
      room.pending = undefined;
      this.settle(its, room, ref, event);
    }
    while (this.joined.get(its) === room && room.pending === undefined && room.waiting.length > 0)
      this.handle(its, room, room.waiting.shift()!);
  }

  private handle(its: string, room: Joined, message: { readonly ref: string; readonly event: string }): void {
    if (message.event.startsWith("slow")) room.pending = message;
    else this.settle(its, room, message.ref, message.event);
  }

  private settle(its: string, room: Joined, ref: string, event: string): void {
    const { joinRef } = room;
    if (event.endsWith("crash") || event === "stop" || event === "phx_leave") {
      this.joined.delete(its);
      if (event === "phx_leave") this.sent.push([joinRef, ref, its, "phx_reply", { status: "ok", response: {} }]);
      this.sent.push([
        joinRef,
        joinRef,
        its,
        event.endsWith("crash") ? "phx_error" : "phx_close",
        event.endsWith("crash") ? { reason: "channel_crash" } : {},
      ]);
    } else {
      this.sent.push([joinRef, ref, its, "phx_reply", { status: "ok", response: { count: room.count++ } }]);
    }
  }
}

test("the frames that a client receives are those of the model", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      /** The pending callbacks, by topic. */
      const gates = new Map<string, Deferred<void>>();
      const balance = { joins: 0, ends: 0 };
      const Room = channel()({
        join: () => {
          balance.joins++;
          return accept(0);
        },
        handleIn: async (event, _payload, count, { topic }) => {
          if (event.startsWith("slow")) {
            const gate = deferred();
            gates.set(topic, gate);
            await gate.promise;
          }
          if (event.endsWith("crash")) throw new Error("expected");
          return event === "stop" ? stop("normal", count) : reply("ok", { count }, count + 1);
        },
        terminate: () => {
          balance.ends++;
        },
      });
      const { client, send, received } = await serve({ "room:*": Room });
      const model = new Model();
      let refs = 0;
      for (const its of steps) {
        const ref = `${++refs}`;
        const joinRef = model.joinRefOf(its.topic);
        if (its.type === "join") {
          send([ref, ref, its.topic, "phx_join", {}]);
          model.join(its.topic, ref);
        } else if (its.type === "release") {
          gates.get(its.topic)?.resolve();
          model.release(its.topic);
        } else {
          const usedRef = its.type === "send" && its.stale ? "0" : (joinRef ?? "0");
          const event = its.type === "leave" ? "phx_leave" : its.event;
          send([usedRef, ref, its.topic, event, {}]);
          model.message(its.topic, usedRef, ref, event);
        }
        await quiet();
      }
      expect(await received()).toEqual(model.sent);
      for (let i = 0; i < TOPICS.length * 60; i++) {
        for (const gate of gates.values()) gate.resolve();
        await nextTick();
      }
      client.close(1000);
      await client.ended;
      expect(balance.ends).toBe(balance.joins);
    }),
    { numRuns: 60 },
  );
});
