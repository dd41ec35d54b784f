/**
 * `fullsweepAfter`: forces a full garbage collection after so many minor ones without a full one. `--expose-gc` is not
 * possible for a worker, and `v8.setFlagsFromString` is for the whole process; an inspector session of the worker
 * collects its own heap only.
 */
import { Session } from "node:inspector";
import { constants, type PerformanceEntry, PerformanceObserver } from "node:perf_hooks";

const { NODE_PERFORMANCE_GC_MAJOR, NODE_PERFORMANCE_GC_MINOR } = constants;

/** An entry of the type `gc`. */
interface GarbageCollection extends PerformanceEntry {
  readonly detail: { readonly kind: number };
}

let session: Session | undefined;

/**
 * Forces a full garbage collection of the heap of this thread, and then calls `done`. The inspector session stays
 * connected: `disconnect()` within its callback blocks the thread forever (Node 20).
 */
export const collectGarbage = (done: () => void): void => {
  if (session === undefined) {
    session = new Session();
    session.connect();
  }
  session.post("HeapProfiler.collectGarbage", done);
};

export const forceCollections = (fullsweepAfter: number, forced: () => void): void => {
  let minor = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as GarbageCollection).detail;
      if (kind === NODE_PERFORMANCE_GC_MAJOR) minor = 0;
      else if (kind === NODE_PERFORMANCE_GC_MINOR) minor++;
    }
    if (minor < fullsweepAfter) return;
    minor = 0;
    collectGarbage(forced);
  }).observe({ entryTypes: ["gc"] });
};
