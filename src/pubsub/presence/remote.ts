/** The entries of another node. */
import type { DiffMessage, Join, PartMessage } from "./messages.ts";
import type { Placed } from "./view.ts";

/** A part that has not arrived after this many milliseconds is requested again at the next beat. */
const REQUEST_TIMEOUT = 1_000;

/** What a remote needs of its presence. */
export interface RemoteOwner<Meta> {
  now(): number;
  /** Decodes an entry; `undefined` if that is not possible. */
  place(join: Join): Placed<Meta> | undefined;
  add(placed: Placed<Meta>): void;
  remove(placed: Placed<Meta>): void;
  /** Requests a part of the entries of the node, from this number on. */
  request(from: number): void;
}

/** All entries are being requested, one part after the other. */
interface Resync {
  /** The number from which on the next part is. */
  from: number;
  requestedAt: number;
  /**
   * The entries that the parts contain unless they have left, each with the version of the diff with which it has
   * joined since; 0: before. A part that contains an entry removes it.
   */
  readonly unconfirmed: Map<number, number>;
  /** The entries that have left since: a part that is older than that may contain them. */
  readonly left: Set<number>;
}

/**
 * Follows the diffs of a node. If one is missing, all entries are requested. Each part is as of another version, but
 * because an entry joins and leaves only once, it does not matter which of the diffs and parts arrive first, as long as
 * no diff after the version of the first part is missing.
 */
export class Remote<Meta> {
  private readonly owner: RemoteOwner<Meta>;
  private readonly entries = new Map<number, Placed<Meta>>();
  private version = 0;
  /** No diff between this version and {@link version} is missing. */
  private completeAfter = 0;
  private resync: Resync | undefined;

  constructor(owner: RemoteOwner<Meta>) {
    this.owner = owner;
  }

  /** @param version the last diff that the node has sent */
  onBeat(version: number): void {
    if (version > this.version) {
      this.version = version;
      this.startResync(version);
    } else if (this.resync !== undefined && this.isOverdue(this.resync)) this.request(this.resync, this.resync.from);
  }

  onDiff({ version, joins, leaves }: DiffMessage): void {
    if (version <= this.version) return;
    if (version > this.version + 1) this.startResync(version - 1);
    this.version = version;
    for (const join of joins) {
      this.add(join);
      if (this.resync?.from === 0) this.resync.unconfirmed.set(join.number, version);
    }
    for (const number of leaves) this.remove(number);
  }

  onPart({ version, from, next, joins }: PartMessage): void {
    const { resync } = this;
    if (resync === undefined || from !== resync.from) return;
    if (from === 0) {
      if (version < this.completeAfter) {
        this.request(resync, 0);
        return;
      }
      for (const [number, joinedWith] of resync.unconfirmed)
        if (joinedWith > version) resync.unconfirmed.delete(number);
      this.version = Math.max(this.version, version);
    }
    for (const join of joins) {
      resync.unconfirmed.delete(join.number);
      if (!resync.left.has(join.number)) this.add(join);
    }
    if (next !== undefined) {
      this.request(resync, next);
      return;
    }
    this.resync = undefined;
    for (const number of resync.unconfirmed.keys()) this.remove(number);
  }

  /** Removes all entries. */
  clear(): void {
    for (const placed of this.entries.values()) this.owner.remove(placed);
    this.entries.clear();
  }

  /** Diffs up to a version are missing. */
  private startResync(completeAfter: number): void {
    const { resync } = this;
    this.completeAfter = completeAfter;
    const unconfirmed = new Map(Array.from(this.entries.keys(), (number) => [number, 0]));
    this.resync = { from: 0, requestedAt: 0, unconfirmed, left: new Set() };
    const isRequested = resync !== undefined && resync.from === 0 && !this.isOverdue(resync);
    if (isRequested) this.resync.requestedAt = resync.requestedAt;
    else this.request(this.resync, 0);
  }

  private isOverdue({ requestedAt }: Resync): boolean {
    return this.owner.now() >= requestedAt + REQUEST_TIMEOUT;
  }

  private request(resync: Resync, from: number): void {
    resync.from = from;
    resync.requestedAt = this.owner.now();
    this.owner.request(from);
  }

  private add(join: Join): void {
    if (this.entries.has(join.number)) return;
    const placed = this.owner.place(join);
    if (placed === undefined) return;
    this.entries.set(join.number, placed);
    this.owner.add(placed);
  }

  private remove(number: number): void {
    this.resync?.left.add(number);
    const placed = this.entries.get(number);
    if (placed === undefined) return;
    this.entries.delete(number);
    this.owner.remove(placed);
  }
}
