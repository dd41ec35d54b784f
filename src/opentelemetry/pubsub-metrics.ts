/** The metrics of topics. */
import type { BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import type { BackplaneStats, PubSubEvent, PubSubStats } from "../pubsub/index.ts";

/** A `PubSub`, as far as its metrics need it. */
export interface MeasuredPubSub {
  /** The id of the `PubSub`. */
  readonly node: string;
  /** Its statistics. */
  readonly stats: PubSubStats;
}

/** Of the statistics: the name of the metric, its unit, and whether it is a current number and not a total. */
type Metric = readonly [name: string, unit: string, current?: "current"];

type OfPubSub = Exclude<keyof PubSubStats, "backplane">;
const PUBSUB: Readonly<Record<OfPubSub, Metric>> = {
  topics: ["topics", "{topic}", "current"],
  subscriptions: ["subscriptions", "{subscription}", "current"],
  addresses: ["addresses", "{address}", "current"],
  published: ["published", "{message}"],
  broadcast: ["broadcast", "{info}"],
  delivered: ["delivered", "{message}"],
  dropped: ["dropped", "{message}"],
  closedSlow: ["closed_slow", "{connection}"],
};

type OfBackplane = keyof BackplaneStats;
const BACKPLANE: Partial<Record<OfBackplane, Metric>> = {
  nodes: ["backplane.nodes", "{node}", "current"],
  channels: ["backplane.channels", "{channel}", "current"],
  unacknowledgedBytes: ["backplane.unacknowledged", "By", "current"],
  sentMessages: ["backplane.sent", "{message}"],
  sentBytes: ["backplane.sent.size", "By"],
  receivedMessages: ["backplane.received", "{message}"],
  receivedBytes: ["backplane.received.size", "By"],
  rejected: ["backplane.rejected", "{envelope}"],
  droppedAway: ["backplane.dropped.away", "{message}"],
  droppedTooLarge: ["backplane.dropped.too_large", "{message}"],
  droppedBacklog: ["backplane.dropped.backlog", "{message}"],
  gaps: ["backplane.gaps", "{gap}"],
  missed: ["backplane.missed", "{message}"],
};

export const pubsubMetrics = (meter: Meter, measured: readonly MeasuredPubSub[]) => {
  const events = meter.createCounter("websock.pubsub.events", {
    unit: "{event}",
    description: "Events of a PubSub, such as gaps and errors",
  });
  const create = ([name, unit, current]: Metric): Observable =>
    current === undefined
      ? meter.createObservableCounter(`websock.pubsub.${name}`, { unit })
      : meter.createObservableUpDownCounter(`websock.pubsub.${name}`, { unit });
  const all = <Name extends string>(metrics: Partial<Record<Name, Metric>>) =>
    Object.entries(metrics).map(([name, metric]) => [name as Name, create(metric as Metric)] as const);
  const ofPubSub = all(PUBSUB);
  const ofBackplane = all(BACKPLANE);

  const observe = (result: BatchObservableResult): void => {
    for (const { node, stats } of measured) {
      const attributes = { "websock.pubsub.node": node };
      for (const [name, observable] of ofPubSub) result.observe(observable, stats[name], attributes);
      const { backplane } = stats;
      if (backplane === undefined) continue;
      for (const [name, observable] of ofBackplane) result.observe(observable, backplane[name] as number, attributes);
    }
  };
  const observables = [...ofPubSub, ...ofBackplane].map(([, observable]) => observable);
  meter.addBatchObservableCallback(observe, observables);

  return {
    onEvent: ({ node, type }: PubSubEvent & { readonly node: string }): void =>
      events.add(1, { "websock.pubsub.node": node, "websock.pubsub.event": type }),
    stop: (): void => meter.removeBatchObservableCallback(observe, observables),
  };
};
