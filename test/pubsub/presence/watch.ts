/** What tests of presence have in common. */
import type { Diff, Presence } from "../../../src/pubsub/index.ts";

/** The metas of a topic by key, in a stable order. */
export const metasOf = <Meta>(presence: Presence<Meta>, topic = "room"): Record<string, Meta[]> =>
  Object.fromEntries(
    [...presence.list(topic)]
      .map(([key, entries]) => [key, entries.map(({ meta }) => meta).sort()] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/** The refs of a topic, sorted. */
export const refsOf = <Meta>(presence: Presence<Meta>, topic = "room"): string[] =>
  [...presence.list(topic).values()].flatMap((entries) => entries.map(({ ref }) => ref)).sort();

/** "+ada:1" for a join with the meta 1, "-ada:1" for a leave. */
export const changesOf = ({ joins, leaves }: Diff<unknown>): string[] => {
  const of = (sign: string, changes: Diff<unknown>["joins"]): string[] =>
    [...changes].flatMap(([key, entries]) => entries.map(({ meta }) => `${sign}${key}:${JSON.stringify(meta)}`));
  return [...of("-", leaves), ...of("+", joins)];
};

/** Follows the diffs of a presence from its creation on, as a user would. */
export class Watcher {
  /** One line for each diff: the topic, and {@link changesOf}. */
  readonly lines: string[] = [];
  /** Joins of entries that were there, and leaves of entries that were not. */
  readonly mistakes: string[] = [];
  readonly joined = new Map<string, number>();
  readonly left = new Map<string, number>();
  private readonly refs = new Map<string, Set<string>>();

  constructor(presence: Pick<Presence<unknown>, "onDiff">) {
    presence.onDiff((topic, diff) => {
      this.lines.push(`${topic} ${changesOf(diff).join(" ")}`);
      const refs = this.refs.get(topic) ?? new Set();
      this.refs.set(topic, refs);
      for (const { ref } of [...diff.joins.values()].flat()) {
        if (refs.has(ref)) this.mistakes.push(`${ref} joins twice`);
        refs.add(ref);
        this.joined.set(ref, (this.joined.get(ref) ?? 0) + 1);
      }
      for (const { ref } of [...diff.leaves.values()].flat()) {
        if (!refs.delete(ref)) this.mistakes.push(`${ref} leaves, but was not there`);
        this.left.set(ref, (this.left.get(ref) ?? 0) + 1);
      }
    });
  }

  /** The refs that the diffs add up to, sorted. */
  present(topic = "room"): string[] {
    return [...(this.refs.get(topic) ?? [])].sort();
  }
}
