/** The `Presence` of phoenix.js, fed with the list and the diffs, has the same entries as the node. */
import fc from "fast-check";
import { Presence as PhoenixPresence } from "phoenix";
import { expect, test } from "vitest";
import { type Diff, Presence, type PresenceList, PubSub } from "websock-js/pubsub";
import { testPubSub } from "websock-js/testing";
import { DeferringClock } from "../../support/deferring-clock.ts";
import { join } from "../members.ts";

interface Meta {
  readonly n: number;
}

type PhoenixMeta = Meta & { readonly phx_ref: string };
type PhoenixState = Record<string, { metas: PhoenixMeta[] }>;

/** What an application sends as `presence_state`, and twice in a `presence_diff`. */
const toPhoenix = (entries: PresenceList<Meta>): PhoenixState =>
  Object.fromEntries(
    Array.from(entries, ([key, tracked]) => [
      key,
      { metas: tracked.map(({ ref, meta }) => ({ phx_ref: ref, ...meta })) },
    ]),
  );

/** The part of a channel of phoenix.js that its `Presence` uses. */
class Channel {
  joins = 0;
  private readonly handlers = new Map<string, (payload: unknown) => void>();

  on(event: string, handler: (payload: unknown) => void): void {
    this.handlers.set(event, handler);
  }

  joinRef(): string {
    return `${this.joins}`;
  }

  receive(event: string, payload: unknown): void {
    this.handlers.get(event)!(JSON.parse(JSON.stringify(payload)));
  }
}

class Client {
  readonly channel = new Channel();
  readonly phoenix = new PhoenixPresence<PhoenixMeta>(this.channel);
  /** The refs that the callbacks of phoenix.js add up to. */
  readonly seen = new Set<string>();

  constructor() {
    this.phoenix.onJoin((_, current, { metas }) => {
      const known = new Set(current?.metas.map(({ phx_ref }) => phx_ref));
      for (const { phx_ref } of metas) if (!known.has(phx_ref)) this.seen.add(phx_ref);
    });
    this.phoenix.onLeave((_, __, { metas }) => {
      for (const { phx_ref } of metas) this.seen.delete(phx_ref);
    });
  }

  /** The client has joined the channel, for the first time or again. */
  join(list: PresenceList<Meta>): void {
    this.channel.joins++;
    this.channel.receive("presence_state", toPhoenix(list));
  }

  diff({ joins, leaves }: Diff<Meta>): void {
    this.channel.receive("presence_diff", { joins: toPhoenix(joins), leaves: toPhoenix(leaves) });
  }
}

const sorted = (state: PhoenixState): [string, PhoenixMeta[]][] =>
  Object.entries(state)
    .map(([key, { metas }]): [string, PhoenixMeta[]] => [key, metas.sort((a, b) => (a.phx_ref < b.phx_ref ? -1 : 1))])
    .sort(([a], [b]) => (a < b ? -1 : 1));

const key = fc.constantFrom("ada", "ben", "__proto__", "");
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("track"), member: fc.nat(2), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("update"), member: fc.nat(2), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("untrack"), member: fc.nat(2), key }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("turn"), member: fc.nat(2), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("join"), member: fc.nat(2), key }) },
);

test("phoenix.js has the entries of the node after any sequence, whenever it has joined", async () => {
  const members = await Promise.all([0, 1, 2].map(() => join(testPubSub(), [])));
  fc.assert(
    fc.property(fc.array(command, { minLength: 5, maxLength: 60, size: "max" }), (steps) => {
      const clock = new DeferringClock();
      const presence = new Presence<Meta>(new PubSub({ clock }));
      const clients = [new Client(), new Client(), new Client()];
      const isJoined = clients.map(() => false);
      presence.onDiff((topic, diff) => {
        for (const [i, client] of clients.entries()) if (topic === "room" && isJoined[i]) client.diff(diff);
      });
      for (const [n, { do: act, member, key }] of steps.entries()) {
        const { self } = members[member]!;
        if (act === "track") presence.track(self, "room", key, { n });
        else if (act === "update") presence.update(self, "room", key, { n });
        else if (act === "untrack") presence.untrack(self, "room", key);
        else if (act === "turn") clock.turn();
        else {
          isJoined[member] = true;
          clients[member]!.join(presence.list("room"));
        }
      }
      clock.turn();
      const expected = sorted(toPhoenix(presence.list("room")));
      for (const [i, client] of clients.entries()) {
        if (!isJoined[i]) continue;
        expect(sorted(client.phoenix.state)).toEqual(expected);
        expect([...client.seen].sort()).toEqual(
          expected.flatMap(([, metas]) => metas.map((meta) => meta.phx_ref)).sort(),
        );
      }
      for (const { self } of members) presence.untrack(self, "room");
    }),
    { numRuns: 200 },
  );
});
