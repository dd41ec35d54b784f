/** Who is where, as this node knows it. */

/** An entry of a presence. */
export interface Tracked<Meta> {
  /** Identifies the entry among those of all nodes. An update replaces an entry by one with another `ref`. */
  readonly ref: string;
  /** What is known of the entry: the last argument of `track`, or what an update has made of it. */
  readonly meta: Meta;
  /** The `node` of the `PubSub` of its connection. */
  readonly node: string;
}

/**
 * What has changed in a topic. An update is a leave and a join of the same key. No entry is in both.
 *
 * JSON does not represent maps: send `Object.fromEntries(diff.joins)`.
 */
export interface Diff<Meta> {
  /** The new entries by key. */
  readonly joins: ReadonlyMap<string, readonly Tracked<Meta>[]>;
  /** The entries that are no longer there, by key. */
  readonly leaves: ReadonlyMap<string, readonly Tracked<Meta>[]>;
}

/** The entries of a topic by key. */
export type PresenceList<Meta> = ReadonlyMap<string, readonly Tracked<Meta>[]>;

/** An entry, and where it is. */
export interface PresenceEntry<Meta> {
  readonly topic: string;
  readonly key: string;
  readonly tracked: Tracked<Meta>;
}

type TopicDiff<Meta> = readonly [topic: string, diff: Diff<Meta>];

/** The entries of all nodes, and the changes since they were last taken. */
export class View<Meta> {
  private readonly topics = new Map<string, Map<string, Map<string, Tracked<Meta>>>>();
  private joins = new Map<string, PresenceEntry<Meta>>();
  private leaves = new Map<string, PresenceEntry<Meta>>();
  /** The topics that were read after the first of these changes. */
  private readonly read = new Set<string>();
  /** Changes that later ones must not cancel out, because they were read. */
  private earlier: TopicDiff<Meta>[] = [];

  add(entry: PresenceEntry<Meta>): void {
    const { topic, key, tracked } = entry;
    const keys = getOrSet(this.topics, topic, () => new Map<string, Map<string, Tracked<Meta>>>());
    getOrSet(keys, key, () => new Map<string, Tracked<Meta>>()).set(tracked.ref, tracked);
    this.record(entry, "joins", "leaves");
  }

  remove(entry: PresenceEntry<Meta>): void {
    const { topic, key, tracked } = entry;
    const keys = this.topics.get(topic);
    const entries = keys?.get(key);
    if (!entries?.delete(tracked.ref)) return;
    if (entries.size === 0) keys!.delete(key);
    if (keys!.size === 0) this.topics.delete(topic);
    this.record(entry, "leaves", "joins");
  }

  list(topic: string): PresenceList<Meta> {
    this.onRead(topic);
    const keys = this.topics.get(topic) ?? new Map<string, Map<string, Tracked<Meta>>>();
    return new Map(Array.from(keys, ([key, entries]) => [key, [...entries.values()]]));
  }

  get(topic: string, key: string): readonly Tracked<Meta>[] {
    this.onRead(topic);
    return [...(this.topics.get(topic)?.get(key)?.values() ?? [])];
  }

  /** The changes since the last call, by topic: one diff for each, or several whose order matters. */
  takeDiffs(): readonly TopicDiff<Meta>[] {
    this.cut();
    const diffs = this.earlier;
    this.earlier = [];
    return diffs;
  }

  /** Forgets everything. */
  clear(): void {
    this.topics.clear();
    this.takeDiffs();
  }

  /** What has joined and left again meanwhile was never there, unless somebody has seen it. */
  private record(entry: PresenceEntry<Meta>, kind: "joins" | "leaves", opposite: "joins" | "leaves"): void {
    const { ref } = entry.tracked;
    if (this[opposite].has(ref)) {
      if (!this.read.has(entry.topic)) {
        this[opposite].delete(ref);
        return;
      }
      this.cut();
    }
    this[kind].set(ref, entry);
  }

  private onRead(topic: string): void {
    if (this.joins.size + this.leaves.size > 0) this.read.add(topic);
  }

  /** Makes diffs of the changes so far. */
  private cut(): void {
    const diffs = new Map<string, { readonly joins: Changes<Meta>; readonly leaves: Changes<Meta> }>();
    for (const kind of ["joins", "leaves"] as const) {
      for (const { topic, key, tracked } of this[kind].values()) {
        const diff = getOrSet(diffs, topic, () => ({ joins: new Map(), leaves: new Map() }));
        getOrSet(diff[kind], key, () => []).push(tracked);
      }
      this[kind] = new Map();
    }
    this.read.clear();
    this.earlier.push(...diffs);
  }
}

type Changes<Meta> = Map<string, Tracked<Meta>[]>;

export const getOrSet = <K, V>(map: Map<K, V>, key: K, create: () => V): V => {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = create()));
  return value;
};
