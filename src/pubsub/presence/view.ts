/** Who is where, as this node knows it. */

/** An entry of a presence. */
export interface Tracked<Meta> {
  /** Identifies the entry among those of all nodes. An update replaces an entry by one with another `ref`. */
  readonly ref: string;
  readonly meta: Meta;
  /** The `node` of the `PubSub` of its connection. */
  readonly node: string;
}

/** What has changed in a topic. An update is a leave and a join of the same key. */
export interface Diff<Meta> {
  readonly joins: ReadonlyMap<string, readonly Tracked<Meta>[]>;
  readonly leaves: ReadonlyMap<string, readonly Tracked<Meta>[]>;
}

export interface Placed<Meta> {
  readonly topic: string;
  readonly key: string;
  readonly tracked: Tracked<Meta>;
}

/** The entries of all nodes, and the changes since they were last taken. */
export class View<Meta> {
  private readonly topics = new Map<string, Map<string, Map<string, Tracked<Meta>>>>();
  private joins = new Map<string, Placed<Meta>>();
  private leaves = new Map<string, Placed<Meta>>();

  add(placed: Placed<Meta>): void {
    const { topic, key, tracked } = placed;
    const keys = getOrSet(this.topics, topic, () => new Map<string, Map<string, Tracked<Meta>>>());
    getOrSet(keys, key, () => new Map<string, Tracked<Meta>>()).set(tracked.ref, tracked);
    this.joins.set(tracked.ref, placed);
  }

  remove(placed: Placed<Meta>): void {
    const { topic, key, tracked } = placed;
    const keys = this.topics.get(topic);
    const entries = keys?.get(key);
    if (!entries?.delete(tracked.ref)) return;
    if (entries.size === 0) keys!.delete(key);
    if (keys!.size === 0) this.topics.delete(topic);
    // What has joined and left again meanwhile was never there.
    if (!this.joins.delete(tracked.ref)) this.leaves.set(tracked.ref, placed);
  }

  list(topic: string): ReadonlyMap<string, readonly Tracked<Meta>[]> {
    const keys = this.topics.get(topic) ?? new Map<string, Map<string, Tracked<Meta>>>();
    return new Map(Array.from(keys, ([key, entries]) => [key, [...entries.values()]]));
  }

  get(topic: string, key: string): readonly Tracked<Meta>[] {
    return [...(this.topics.get(topic)?.get(key)?.values() ?? [])];
  }

  /** The changes since the last call, by topic. */
  takeDiffs(): ReadonlyMap<string, Diff<Meta>> {
    const diffs = new Map<string, { readonly joins: Changes<Meta>; readonly leaves: Changes<Meta> }>();
    for (const kind of ["joins", "leaves"] as const) {
      for (const { topic, key, tracked } of this[kind].values()) {
        const diff = getOrSet(diffs, topic, () => ({ joins: new Map(), leaves: new Map() }));
        getOrSet(diff[kind], key, () => []).push(tracked);
      }
      this[kind] = new Map();
    }
    return diffs;
  }
}

type Changes<Meta> = Map<string, Tracked<Meta>[]>;

export const getOrSet = <K, V>(map: Map<K, V>, key: K, create: () => V): V => {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = create()));
  return value;
};
