/** `websock-js/isolate`: handlers whose callbacks run in worker threads. */

export { isolatedCapabilities } from "./capabilities.ts";
export { CallbackTimeout, HeapExceeded, NoWorker, WorkerExited } from "./errors.ts";
export { type HandlerModule, type Isolated, isolate } from "./isolate.ts";
export type { IsolateOptions } from "./options.ts";
export type { IsolateStats } from "./pool.ts";
export { type SharedPubSub, type SharedTopic, sharedPubSub } from "./worker/shared-pubsub.ts";
