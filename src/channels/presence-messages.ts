/** What the class `Presence` of phoenix.js receives. */
import type { Diff, Tracked } from "../pubsub/presence/view.ts";
import type { Self } from "../websock.ts";

/** The part of a `Presence` that channels use. */
export interface PresenceSource {
  /** The entries of `topic` by key. */
  list(topic: string): ReadonlyMap<string, readonly Tracked<object>[]>;
  /** Calls `listener` when entries have changed. */
  onDiff(listener: (topic: string, diff: Diff<object>) => void): unknown;
  /** Removes the entries of `self` in `topic`. */
  untrack(self: Self<never>, topic: string): void;
}

/** The entries of a topic by key, as payload of `presence_state`. */
export const presenceState = (entries: ReadonlyMap<string, readonly Tracked<object>[]>): object =>
  Object.fromEntries(Array.from(entries, ([key, tracked]) => [key, { metas: tracked.map(metaOf) }]));

/** The payload of `presence_diff`. */
export const presenceDiff = ({ joins, leaves }: Diff<object>): object => ({
  joins: presenceState(joins),
  leaves: presenceState(leaves),
});

/** phoenix.js tells the entries under a key apart by `phx_ref`. */
const metaOf = ({ ref, meta }: Tracked<object>): object => ({ ...meta, phx_ref: ref });
