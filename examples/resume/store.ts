/** A stream of entries that outlives connections: what a room needs of Redis Streams or JetStream. */
import { setImmediate } from "node:timers/promises";

export interface Entry {
  /** Two numbers with a hyphen between them. The first one never decreases from one entry to the next. */
  readonly id: string;
  readonly data: string;
}

export interface Store {
  /**
   * @param key identifies the data: a store that is able to do so keeps only the first entry with this key
   * @returns the id of the entry, or its first number
   */
  append(data: string, key: string): Promise<string>;
  /**
   * The entries after the one with the id `last`, at most {@link PAGE}, the oldest first.
   *
   * @returns `undefined` if the store does not have the entry `last`, so that entries after it may be missing, too
   */
  after(last: string): Promise<readonly Entry[] | undefined>;
  /** At most {@link NEWEST} of the newest entries, the oldest first. */
  newest(): Promise<readonly Entry[]>;
}

export const PAGE = 500;
export const NEWEST = 50;

/** The id before the first entry of an empty store. */
export const START = "0-0";

/** Whether the entry `id` is not newer than the entry `last`. */
export const isUpTo = (id: string, last: string): boolean => {
  const [major = 0, minor = 0] = id.split("-").map(Number);
  const [lastMajor = 0, lastMinor = 0] = last.split("-").map(Number);
  return major < lastMajor || (major === lastMajor && minor <= lastMinor);
};

/**
 * Makes one read for all connections of this process that ask for the entries after the same one in the same event-loop
 * tick. A read that has already begun is not shared: it may miss an entry that was appended since.
 */
export const withSharedReads = (store: Store): Store => {
  const reads = new Map<string, ReturnType<Store["after"]>>();
  const read = async (last: string): ReturnType<Store["after"]> => {
    await setImmediate();
    reads.delete(last);
    return store.after(last);
  };
  return {
    append: (data, key) => store.append(data, key),
    after: (last) => {
      const shared = reads.get(last) ?? read(last);
      reads.set(last, shared);
      return shared;
    },
    newest: () => store.newest(),
  };
};
