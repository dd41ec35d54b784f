/** The program of a worker. */
import { getPriority, platform, setPriority } from "node:os";
import { workerData } from "node:worker_threads";
import { callbacksOf } from "../../session/handler.ts";
import type { TopicSession } from "../../session/self.ts";
import { Outbox } from "../outbox.ts";
import { COLLECTED, READY, WIDTHS_TO_MAIN, type WorkerSettings } from "../records.ts";
import { forceCollections } from "./collections.ts";
import { Sessions } from "./sessions.ts";
import { PubSubProxy, sharePubSub } from "./shared-pubsub.ts";

const settings = workerData as WorkerSettings;
const { port, url, nice, fullsweepAfter, pubsubNode } = settings;

// On Linux, 0 is this thread; elsewhere, it is the whole process.
if (platform() === "linux") setPriority(0, Math.max(nice, getPriority(0)));

const outbox: Outbox = new Outbox(
  port,
  WIDTHS_TO_MAIN,
  () => undefined,
  (record, error) => sessions.onRefused(record, error),
);
const ids = new WeakMap<TopicSession, number>();
const pubsub = pubsubNode === undefined ? undefined : new PubSubProxy(pubsubNode, outbox, ids);
// Before the module of the handler is loaded, which may use it at once.
if (pubsub !== undefined) sharePubSub(pubsub);

/** A module is a handler, or has one as its default export. */
const load = async (): Promise<object> => {
  const module = (await import(url)) as { readonly default?: unknown };
  return typeof module.default === "object" && module.default !== null ? module.default : module;
};

const sessions = new Sessions(callbacksOf(await load()), outbox, settings, ids, pubsub);
if (fullsweepAfter !== undefined) forceCollections(fullsweepAfter, () => outbox.add(COLLECTED, 0));
port.on("message", (records: readonly unknown[]) => sessions.execute(records));
outbox.add(READY, 0);
