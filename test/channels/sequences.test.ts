/** Random joins, leaves, rejoins, messages, broadcasts and timeouts over several topics of two clients, against a model. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  accept,
  type ChannelResult,
  channel,
  type EndReason,
  noreply,
  push,
  refuse,
  reply,
  type Socket,
  stop,
} from "websock-js/channels";
import { ManualClock, testPubSub } from "websock-js/testing";
import { type Deferred, deferred } from "../support/promises.ts";
import { type Frame, phoenixClient, quiet, serve } from "./phoenix-client.ts";

const TOPICS = ["room:1", "room:2"] as const;
/** The clients reach it, because joins that have ended count until their callback has settled. */
const MAX_TOPICS = TOPICS.length;
const JOIN_TIMEOUT = 1_000;

/** `now`: synchronously. `async`: with a promise that settles immediately. `slow`: when a step releases it. */
type How = "now" | "async" | "slow";

/** What a callback does: the payload of a message, of a broadcast event or of an info. */
interface Work {
  readonly id: string;
  readonly how: How;
  readonly what: string;
  /** How the callback proceeds that `tell` or `info` causes. */
  readonly next: How;
}

type StepWork = Omit<Work, "id">;

type Step = { readonly client: number; readonly topic: string } & (
  | { readonly type: "join"; readonly work: StepWork; readonly refs: "both" | "ref" | "join_ref" }
  | {
      readonly type: "message" | "leave";
      readonly work: StepWork;
      readonly joinRef: "current" | "stale" | "null";
      readonly hasRef: boolean;
    }
  | { readonly type: "broadcast"; readonly work: StepWork; readonly event: "said" | "drawn" }
  /** One of the pending callbacks settles. */
  | { readonly type: "release"; readonly which: number }
  | { readonly type: "advance"; readonly ms: number }
);

const how = fc.constantFrom<How>("now", "now", "now", "async", "slow", "slow");
const workOf = (...whats: readonly string[]): fc.Arbitrary<StepWork> =>
  fc.record({ how, next: how, what: fc.constantFrom(...whats) });
const often = <T>(usual: T, ...others: readonly T[]) => fc.constantFrom<T>(usual, usual, usual, usual, ...others);
/** Mostly one client and one topic, so that many steps concern the same join. */
const where = { client: often(0, 1), topic: often(...TOPICS) };
const stepOf = <Type extends string, Fields>(type: Type, fields: { [K in keyof Fields]: fc.Arbitrary<Fields[K]> }) =>
  fc.record({ type: fc.constant(type), ...where, ...fields }) as fc.Arbitrary<
    { type: Type; client: number; topic: string } & Fields
  >;

const messageFields = { joinRef: often<"current" | "stale" | "null">("current", "stale", "null") };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: stepOf("join", {
      work: workOf("accept", "accept", "accept", "accept", "info", "refuse", "throw"),
      refs: often<"both" | "ref" | "join_ref">("both", "ref", "join_ref"),
    }),
  },
  {
    weight: 7,
    arbitrary: stepOf("message", {
      ...messageFields,
      work: workOf(
        "reply",
        "reply",
        "reply",
        "reply",
        "error",
        "push",
        "noreply",
        "say",
        "whisper",
        "tell",
        "info",
        "throw",
        "stop",
        "fail",
      ),
      hasRef: often(true, false),
    }),
  },
  { weight: 1, arbitrary: stepOf("leave", { ...messageFields, work: workOf("leave"), hasRef: often(true, false) }) },
  {
    weight: 2,
    arbitrary: stepOf("broadcast", {
      work: workOf("push", "push", "throw", "stop"),
      event: fc.constantFrom<"said" | "drawn">("said", "drawn"),
    }),
  },
  { weight: 5, arbitrary: stepOf("release", { which: fc.nat(5) }) },
  // At most the timeout: a join that begins when the time moves, and settles immediately, is not late.
  { weight: 1, arbitrary: stepOf("advance", { ms: fc.constantFrom(300, 700, JOIN_TIMEOUT) }) },
);

// --- the model

type Refs = readonly [joinRef: string | null, ref: string | null];

interface Event {
  readonly type: "in" | "out" | "info" | "leave";
  readonly ref: string | null;
  readonly work: Work;
}

/** One join of a topic, until its last callback has settled. */
interface Room {
  readonly topic: string;
  readonly joinRef: string;
  readonly ref: string | null;
  readonly joinWork: Work;
  phase: "waits" | "joining" | "joined" | "ended";
  /** The earlier joins of the topic whose callbacks are pending. */
  readonly earlier: Set<Room>;
  /** When the phase ends at the latest. */
  deadline: number;
  endedAt: number;
  /** The pending callback: that of an event, or `join`. */
  pending: Event | "join" | undefined;
  readonly waiting: Event[];
  /** The state; `undefined` before the join is accepted. */
  count: number | undefined;
  reason: string;
}

/** What a callback passes on: the payload of an event that it broadcasts, or an info. */
const workFrom = ({ id, next }: Work): Work => ({ id: `${id}+`, how: next, what: "push", next: "now" });

/** What all clients have in common. */
class World {
  readonly clients = [new ModelClient(this, 0), new ModelClient(this, 1)];
  now = 0;
  /** What happens in a later event-loop tick of the same step. */
  readonly later: (() => void)[] = [];

  runLater(): void {
    while (this.later.length > 0) this.later.shift()!();
  }

  broadcast(topic: string, event: string, work: Work, except?: ModelClient): void {
    for (const client of this.clients) if (client !== except) client.onBroadcast(topic, event, work);
  }

  advance(ms: number): void {
    this.now += ms;
    for (const client of this.clients) client.tick();
  }

  /** All pending callbacks. */
  pending(): { readonly owner: ModelClient; readonly room: Room; readonly work: Work }[] {
    return this.clients.flatMap((owner) => owner.pending().map(([room, work]) => ({ owner, room, work })));
  }
}

/** What the server is expected to send to a client, to pass to `terminate`, and to report. */
class ModelClient {
  readonly sent: Frame[] = [];
  readonly ends: unknown[] = [];
  errors = 0;
  readonly index: number;
  private readonly world: World;
  private readonly rooms = new Map<string, Room>();
  /** Joins that have ended, but have a pending callback. */
  private readonly completing: Room[] = [];

  constructor(world: World, index: number) {
    this.world = world;
    this.index = index;
  }

  joinRefOf(topic: string): string | undefined {
    return this.rooms.get(topic)?.joinRef;
  }

  /** The joins that have a pending callback, with what it does. */
  pending(): [Room, Work][] {
    return [...this.completing, ...this.rooms.values()].flatMap((room): [Room, Work][] =>
      room.pending === undefined ? [] : [[room, room.pending === "join" ? room.joinWork : room.pending.work]],
    );
  }

  join(topic: string, [joinRef, ref]: Refs, joinWork: Work): void {
    const former = this.rooms.get(topic);
    if (former !== undefined) {
      this.sendEnd(former, "phx_close");
      this.end(former, "rejoined");
    }
    const earlier = new Set(this.completing.filter((its) => its.topic === topic));
    if (this.rooms.size + this.completing.length - Math.min(earlier.size, 1) >= MAX_TOPICS) {
      this.answer([joinRef, ref], topic, "error", { reason: "too many channels joined" });
      return;
    }
    const room: Room = {
      topic,
      joinRef: joinRef ?? ref!,
      ref,
      joinWork,
      phase: "waits",
      earlier,
      deadline: Math.max(...Array.from(earlier, ({ endedAt }) => endedAt + JOIN_TIMEOUT)),
      endedAt: 0,
      pending: undefined,
      waiting: [],
      count: undefined,
      reason: "",
    };
    this.rooms.set(topic, room);
    if (room.deadline <= this.world.now) this.begin(room, this.world.now);
  }

  private begin(room: Room, now: number): void {
    room.phase = "joining";
    room.deadline = now + JOIN_TIMEOUT;
    if (room.joinWork.how === "slow") room.pending = "join";
    else this.settleJoin(room);
  }

  private settleJoin(room: Room): void {
    const { topic, joinRef, ref, joinWork } = room;
    const { what } = joinWork;
    const isEnded = room.phase === "ended";
    if (what === "throw") this.errors++;
    if (what === "refuse" || what === "throw") {
      if (isEnded) return;
      this.answer([joinRef, ref], topic, "error", { reason: what === "refuse" ? "no" : "join crashed" });
      this.end(room, what === "refuse" ? "closed" : "error");
      return;
    }
    room.count = 0;
    if (what === "info") this.sendInfo(room, joinWork);
    if (isEnded) return;
    room.phase = "joined";
    this.answer([joinRef, ref], topic, "ok", {});
    this.handleWaiting(room);
  }

  message(topic: string, [joinRef, ref]: Refs, type: "in" | "leave", work: Work): void {
    const room = this.rooms.get(topic);
    if (room === undefined) {
      if (type === "leave") this.answer([joinRef, ref], topic, "ok", {});
      else this.answer([null, ref], topic, "error", { reason: "unmatched topic" });
    } else if (joinRef === null || joinRef === room.joinRef) {
      this.receive(room, { type, ref, work });
    }
  }

  onBroadcast(topic: string, event: string, work: Work): void {
    const room = this.rooms.get(topic);
    if (room?.phase !== "joined") return;
    // `handleOut` has only "said".
    if (event === "said") this.world.later.push(() => this.receive(room, { type: "out", ref: null, work }));
    else this.sent.push([null, null, topic, event, work]);
  }

  private sendInfo(room: Room, cause: Work): void {
    this.world.later.push(() => this.receive(room, { type: "info", ref: null, work: workFrom(cause) }));
  }

  private receive(room: Room, event: Event): void {
    if (room.phase === "ended") return;
    const isJoined = room.phase === "joined";
    if (isJoined ? room.pending === undefined : event.type === "leave") this.handle(room, event);
    else room.waiting.push(event);
  }

  private handleWaiting(room: Room): void {
    while (room.phase === "joined" && room.pending === undefined && room.waiting.length > 0)
      this.handle(room, room.waiting.shift()!);
  }

  private handle(room: Room, event: Event): void {
    if (event.type === "leave") {
      this.answer([room.joinRef, event.ref], room.topic, "ok", {});
      this.sendEnd(room, "phx_close");
      this.end(room, "left");
    } else if (event.work.how === "slow") {
      room.pending = event;
    } else {
      this.settle(room, event);
    }
  }

  /** The callback of an event has settled. */
  private settle(room: Room, { type, ref, work }: Event): void {
    const { topic, joinRef } = room;
    const { what, id } = work;
    if (what === "say") this.world.broadcast(topic, "drawn", workFrom(work));
    if (what === "whisper") this.world.broadcast(topic, "drawn", workFrom(work), this);
    if (what === "tell") this.world.broadcast(topic, "said", workFrom(work));
    if (what === "info") this.sendInfo(room, work);
    if (what === "throw") this.errors++;
    else room.count!++;
    if (room.phase === "ended") return;
    if (what === "throw" || what === "stop" || what === "fail") {
      this.sendEnd(room, what === "stop" ? "phx_close" : "phx_error");
      this.end(room, what === "throw" ? "error" : `stop ${what}`);
    } else if (what === "push") {
      this.sent.push([joinRef, null, topic, type, { id, count: room.count }]);
    } else if (what !== "noreply") {
      this.answer([joinRef, ref], topic, what === "error" ? "error" : "ok", { id, count: room.count });
    }
  }

  /** The pending callback settles. */
  release(room: Room): void {
    const { pending } = room;
    room.pending = undefined;
    if (pending === "join") this.settleJoin(room);
    else this.settle(room, pending!);
    if (room.phase !== "ended") {
      this.handleWaiting(room);
      return;
    }
    const index = this.completing.indexOf(room);
    if (index === -1) return;
    this.completing.splice(index, 1);
    this.terminate(room);
    const next = this.rooms.get(room.topic);
    if (next?.earlier.delete(room) && next.earlier.size === 0 && next.phase === "waits")
      this.begin(next, this.world.now);
  }

  tick(): void {
    for (const room of [...this.rooms.values()]) {
      if (room.phase === "joined" || room.deadline > this.world.now) continue;
      if (room.phase === "waits") {
        this.begin(room, room.deadline);
      } else {
        this.answer([room.joinRef, room.ref], room.topic, "error", { reason: "join timeout" });
        this.errors++;
        this.end(room, "error");
      }
    }
  }

  close(): void {
    for (const room of [...this.rooms.values()]) this.end(room, "closed");
    for (const room of [...this.completing]) this.release(room);
  }

  private end(room: Room, reason: string): void {
    room.phase = "ended";
    room.endedAt = this.world.now;
    room.reason = reason;
    room.waiting.length = 0;
    this.rooms.delete(room.topic);
    if (room.pending === undefined) this.terminate(room);
    else this.completing.push(room);
  }

  private terminate({ topic, joinWork, reason, count }: Room): void {
    if (count !== undefined) this.ends.push([topic, joinWork.id, reason, count]);
  }

  private answer([joinRef, ref]: Refs, topic: string, status: string, response: object): void {
    if (ref !== null) this.sent.push([joinRef, ref, topic, "phx_reply", { status, response }]);
  }

  private sendEnd({ topic, joinRef }: Room, event: "phx_close" | "phx_error"): void {
    this.sent.push([joinRef, joinRef, topic, event, event === "phx_error" ? { reason: "channel_crash" } : {}]);
  }
}

// --- the server

interface State {
  readonly client: number;
  readonly joinId: string;
  readonly count: number;
}

/** A channel that does what payloads say. */
class Server {
  /** The callbacks that are slow, by client and work. */
  private readonly gates = new Map<string, Deferred<void>>();
  readonly ends: unknown[][] = [[], []];

  release(client: number, id: string): void {
    this.gates.get(`${client} ${id}`)?.resolve();
  }

  releaseAll(): void {
    for (const gate of this.gates.values()) gate.resolve();
  }

  private run<T>({ id, how }: Work, client: number, act: () => T): T | Promise<T> {
    if (how === "now") return act();
    if (how === "async") return Promise.resolve().then(act);
    const gate = deferred();
    this.gates.set(`${client} ${id}`, gate);
    return gate.promise.then(act);
  }

  readonly room = channel<undefined, Work>()({
    join: (payload, socket) => {
      const { client, work } = payload as { client: number; work: Work };
      return this.run(work, client, () => {
        if (work.what === "throw") throw new Error("expected");
        if (work.what === "refuse") return refuse("no");
        if (work.what === "info") socket.send(workFrom(work));
        return accept<State>({ client, joinId: work.id, count: 0 });
      });
    },
    handleIn: (_event, payload, state, socket) => {
      const work = payload as Work;
      return this.run(work, state.client, () => answer(work, state, socket));
    },
    handleInfo: (work, state) => this.run(work, state.client, () => pushed("info", work, state)),
    handleOut: {
      said: (payload, state) => {
        const work = payload as Work;
        return this.run(work, state.client, () => pushed("out", work, state));
      },
    },
    terminate: (reason: EndReason, { client, joinId, count }: State, { topic }) => {
      const name =
        typeof reason === "string"
          ? reason
          : "stop" in reason
            ? `stop ${reason.stop === "normal" ? "stop" : reason.stop}`
            : "error";
      this.ends[client]!.push([topic, joinId, name, count]);
    },
  });
}

const pushed = (event: string, { id, what }: Work, state: State): ChannelResult<State, never> => {
  if (what === "throw") throw new Error("expected");
  const next = { ...state, count: state.count + 1 };
  return what === "stop" ? stop("normal", next) : push(event, { id, count: next.count }, next);
};

const answer = (work: Work, state: State, socket: Socket<undefined, Work>): ChannelResult<State> => {
  const { what, id } = work;
  if (what === "push" || what === "throw" || what === "stop") return pushed("in", work, state);
  const next = { ...state, count: state.count + 1 };
  if (what === "fail") return stop("fail", next);
  if (what === "noreply") return noreply(next);
  if (what === "say") socket.broadcast("drawn", workFrom(work));
  if (what === "whisper") socket.broadcastFrom("drawn", workFrom(work));
  if (what === "tell") socket.broadcast("said", workFrom(work));
  if (what === "info") socket.send(workFrom(work));
  return reply(what === "error" ? "error" : "ok", { id, count: next.count }, next);
};

/** The order of frames of different topics is not specified. */
const byTopic = (frames: readonly unknown[]) =>
  TOPICS.map((topic) => (frames as Frame[]).filter((frame) => frame[2] === topic));

test("the frames that clients receive, and what terminate receives, are those of the model", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const server = new Server();
      const clock = new ManualClock();
      const options = { joinTimeout: JOIN_TIMEOUT, maxTopics: MAX_TOPICS };
      const { socket, ...first } = await serve({ "room:*": server.room }, options, testPubSub({ clock }));
      const clients = [first, await phoenixClient(socket)];
      const world = new World();
      for (const [i, its] of steps.entries()) {
        const client = clients[its.client]!;
        const model = world.clients[its.client]!;
        const ref = `${i + 1}`;
        if (its.type === "release") {
          const pending = world.pending();
          const chosen = pending[its.which % pending.length];
          if (chosen !== undefined) {
            const { owner, room, work } = chosen;
            server.release(owner.index, work.id);
            owner.release(room);
          }
        } else if (its.type === "advance") {
          clock.advance(its.ms);
          world.advance(its.ms);
        } else {
          const work: Work = { id: ref, ...its.work };
          if (its.type === "broadcast") {
            socket.broadcast(its.topic, its.event, work);
            world.broadcast(its.topic, its.event, work);
          } else if (its.type === "join") {
            const refs: Refs = [its.refs === "ref" ? null : ref, its.refs === "join_ref" ? null : ref];
            client.send([...refs, its.topic, "phx_join", { client: its.client, work }]);
            model.join(its.topic, refs, work);
          } else {
            const current = model.joinRefOf(its.topic) ?? "0";
            const joinRef = { current, stale: "0", null: null }[its.joinRef];
            const refs: Refs = [joinRef, its.hasRef ? ref : null];
            client.send([...refs, its.topic, its.type === "leave" ? "phx_leave" : "do", work]);
            model.message(its.topic, refs, its.type === "leave" ? "leave" : "in", work);
          }
        }
        world.runLater();
        await quiet();
      }
      for (const [i, model] of world.clients.entries())
        expect(byTopic(await clients[i]!.received())).toEqual(byTopic(model.sent));
      for (const { client } of clients) client.close(1000);
      server.releaseAll();
      for (const [i, { client }] of clients.entries()) {
        await client.ended;
        const model = world.clients[i]!;
        model.close();
        expect(server.ends[i]!.toSorted()).toEqual(model.ends.toSorted());
        expect(client.errors).toHaveLength(model.errors);
      }
    }),
    { numRuns: 300 },
  );
});
