/** The entries of another node. */
import type { DiffMessage, Join, PartMessage } from "./messages.ts";
import type { PresenceEntry } from "./view.ts";

/** A part that has not arrived after this many milliseconds is requested again at the next beat. */
const REQUEST_TIMEOUT = 1_000;

/** What {@link Remote} needs of its presence. */
export interface RemoteOwner<Meta> {
  now(): number;
  /** Decodes an entry; `undefined` if that is not possible. */
  decode(join: Join): PresenceEntry<Meta> | undefined;
  add(entry: PresenceEntry<Meta>): void;
  remove(entry: PresenceEntry<Meta>): void;
  /** Requests a part of the entries of the node, from this number on. */
  request(from: number): void;
}

/** All entries are being requested, one part after the other. */
interface Resync {
  /** The number from which the next part begins. */
  from: number;
  requestedAt: number;
  /**
   * The entries that are known here and that no part has contained so far; once the first part has arrived, without
   * those that are newer than it. What remains after the last part has left. The value is the version of the diff that
   * added the entry during this resync; 0: it was known before.
   */
  readonly absent: Map<number, number>;
  /** The entries that have left during this resync: a part that is older may contain them. */
  readonly left: Set<number>;
}

/**
 * Applies the diffs of one node. If a diff is missing, requests all entries, in parts. Parts may have different
 * versions, and may overtake diffs: an entry joins once and leaves once, so the order does not matter, provided that no
 * diff after the first part's version is missing.
 */
export class Remote<Meta> {
  private readonly owner: RemoteOwner<Meta>;
  private readonly entries = new Map<number, PresenceEntry<Meta>>();
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
      if (this.resync?.from === 0) this.resync.absent.set(join.number, version);
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
      for (const [number, joinedWith] of resync.absent) if (joinedWith > version) resync.absent.delete(number);
      this.version = Math.max(this.version, version);
    }
    for (const join of joins) {
      resync.absent.delete(join.number);
      if (!resync.left.has(join.number)) this.add(join);
    }
    if (next !== undefined) {
      this.request(resync, next);
      return;
    }
    this.resync = undefined;
    for (const number of resync.absent.keys()) this.remove(number);
  }

  /** Removes all entries. */
  clear(): void {
    for (const entry of this.entries.values()) this.owner.remove(entry);
    this.entries.clear();
  }

  /** Diffs up to a version are missing. */
  private startResync(completeAfter: number): void {
    const { resync } = this;
    this.completeAfter = completeAfter;
    const absent = new Map(Array.from(this.entries.keys(), (number) => [number, 0]));
    this.resync = { from: 0, requestedAt: 0, absent, left: new Set() };
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
    const entry = this.owner.decode(join);
    if (entry === undefined) return;
    this.entries.set(join.number, entry);
    this.owner.add(entry);
  }

  private remove(number: number): void {
    this.resync?.left.add(number);
    const entry = this.entries.get(number);
    if (entry === undefined) return;
    this.entries.delete(number);
    this.owner.remove(entry);
  }
}
