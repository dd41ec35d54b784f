/** Replaces `src/isolate/worker-url.ts` in tests: the workers run the built package, because Node 20 cannot run sources. */
export const workerUrl = new URL("../../dist/isolate/worker/entry.js", import.meta.url);
