/** The workers of one isolated handler. A worker that ends by itself is replaced. */
import { NEVER, type Timed } from "../session/clock.ts";
import { WorkerExited } from "./errors.ts";
import type { ResolvedIsolateOptions } from "./options.ts";
import { Thread } from "./thread.ts";

/** The replacement of a worker waits this long, and twice as long each time that it fails again, up to the maximum. */
const MIN_BACKOFF = 100;
const MAX_BACKOFF = 30_000;

/** Counters of an isolated handler. */
export interface IsolateStats {
  /** The current number of workers. */
  readonly workers: number;
  /** The current number of connections of each worker. */
  readonly connections: readonly number[];
  /** How many workers have ended by themselves. */
  readonly failures: number;
  /** How many workers were started to replace one that had ended. */
  readonly restarts: number;
  /** How many connections were closed with 1013, because no worker was available. */
  readonly refused: number;
  /** How many full garbage collections `fullsweepAfter` has forced. */
  readonly forcedCollections: number;
}

/** The place of one worker. */
class Place implements Timed {
  slot = 0;
  thread: Thread | undefined = undefined;
  startedAt = 0;
  /** How often it has failed in succession. */
  failures = 0;
  readonly tick: () => void;

  constructor(start: (place: Place) => void) {
    this.tick = () => start(this);
  }
}

export class Pool {
  private readonly url: string;
  private readonly options: ResolvedIsolateOptions;
  private readonly places: Place[];
  private failures = 0;
  private restarts = 0;
  private refused = 0;
  private forcedCollections = 0;
  private closing: Promise<void> | undefined = undefined;

  constructor(url: string, options: ResolvedIsolateOptions) {
    this.url = url;
    this.options = options;
    this.places = Array.from({ length: options.workers }, () => new Place((place) => this.restart(place)));
    for (const place of this.places) this.start(place);
  }

  get stats(): IsolateStats {
    const { failures, restarts, refused, forcedCollections } = this;
    const connections = this.threads.map(({ size }) => size);
    return { workers: connections.length, connections, failures, restarts, refused, forcedCollections };
  }

  /** The worker with the fewest connections; `undefined`: there is none. */
  pick(): Thread | undefined {
    const threads = this.threads.filter(({ isEnding }) => !isEnding);
    const size = Math.min(...threads.map((thread) => thread.size));
    const thread = this.closing === undefined ? threads.find((each) => each.size === size) : undefined;
    if (thread === undefined) this.refused++;
    return thread;
  }

  close(): Promise<void> {
    this.closing ??= (async () => {
      for (const place of this.places) this.options.clock.cancel(place);
      await Promise.all(this.threads.map((thread) => thread.close()));
      for (const place of this.places) place.thread = undefined;
    })();
    return this.closing;
  }

  private get threads(): readonly Thread[] {
    return this.places.flatMap(({ thread }) => thread ?? []);
  }

  private restart(place: Place): void {
    this.restarts++;
    this.start(place);
  }

  private start(place: Place): void {
    const { clock } = this.options;
    place.startedAt = clock.now();
    try {
      place.thread = new Thread(this.url, this.options, {
        onCollected: () => this.forcedCollections++,
        onError: (error) => this.report(error),
        onFailed: (error) => this.onFailed(place, error),
      });
    } catch (cause) {
      // The system has no more threads, for example.
      this.onFailed(place, new WorkerExited("a worker could not be started", { cause }));
    }
  }

  private onFailed(place: Place, error: Error): void {
    const { clock } = this.options;
    const now = clock.now();
    place.thread = undefined;
    this.failures++;
    // A worker that has worked for long begins anew.
    if (now - place.startedAt > MAX_BACKOFF) place.failures = 0;
    const delay = Math.min(MAX_BACKOFF, MIN_BACKOFF * 2 ** place.failures++);
    clock.schedule(place, this.closing === undefined ? now + delay : NEVER);
    this.report(error);
  }

  private report(error: unknown): void {
    try {
      this.options.onWorkerError(error instanceof Error ? error : new WorkerExited(String(error)));
    } catch (thrown) {
      console.error(thrown);
    }
  }
}
