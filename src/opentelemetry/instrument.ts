/** `instrument`: from the diagnostics channels to OpenTelemetry. */

import { type Channel, channel } from "node:diagnostics_channel";
import { context, type MeterProvider, metrics, type TracerProvider, trace } from "@opentelemetry/api";
import { RUN_IN, type StartedCall } from "../diagnostics.ts";
import { codedTypeError } from "../error-codes.ts";
import { checkKeys, show } from "../known-keys.ts";
import { connectionMetrics } from "./connection-metrics.ts";
import { type MeasuredPubSub, pubsubMetrics } from "./pubsub-metrics.ts";
import { type CallbackSpans, Spans } from "./spans.ts";

/** Options of {@link instrument}. */
export interface InstrumentOptions {
  /** Where the metrics go. Default: the global provider of `@opentelemetry/api`. */
  readonly meterProvider?: MeterProvider;
  /** Where the spans go. Default: the global provider of `@opentelemetry/api`. */
  readonly tracerProvider?: TracerProvider;
  /**
   * Spans of connections and of each callback. The callbacks are `"children"` of the connection's span; or each has a
   * trace of its own, `"linked"` to the connection's span, which suits connections that are open for hours. Each
   * callback then takes several microseconds more. Default: `false`
   */
  readonly spans?: CallbackSpans | false;
  /** The `PubSub` objects whose statistics become metrics. Default: none */
  readonly pubsub?: readonly MeasuredPubSub[];
}

const NAME = "websock-js";

/**
 * Exports metrics of all servers in this process, and spans if they are requested, with OpenTelemetry. Call it before
 * the first connection is opened: connections that are already open are not measured.
 *
 * ```ts
 * import { PrometheusExporter } from "@opentelemetry/exporter-prometheus";
 * import { MeterProvider } from "@opentelemetry/sdk-metrics";
 * import { instrument } from "websock-js/opentelemetry";
 *
 * const exporter = new PrometheusExporter({ port: 9464 });
 * instrument({ meterProvider: new MeterProvider({ readers: [exporter] }) });
 * ```
 *
 * @param options where metrics and spans go, and which there are
 * @returns a function that ends the measurement
 * @throws TypeError for an unknown or invalid option
 */
export const instrument = (options: InstrumentOptions = {}): (() => void) => {
  checkKeys(options, ["meterProvider", "tracerProvider", "spans", "pubsub"]);
  const { meterProvider = metrics, tracerProvider = trace, spans = false, pubsub = [] } = options;
  if (spans !== false && spans !== "children" && spans !== "linked") {
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `option "spans" must be "children", "linked" or false, not ${show(spans)}`,
    );
  }
  const meter = meterProvider.getMeter(NAME);
  const connections = connectionMetrics(meter);
  const topics = pubsubMetrics(meter, pubsub);
  const stops = [
    listen("websock-js:upgrade", connections.onUpgrade),
    listen("websock-js:refused", connections.onRefused),
    listen("websock-js:open", connections.onOpen),
    listen("websock-js:close", connections.onClose),
    listen("websock-js:drain", connections.onDrain),
    listen("websock-js:error", connections.onError),
    listen("websock-js:pubsub", topics.onEvent),
    connections.stop,
    topics.stop,
    ...(spans === false ? [] : listenForSpans(new Spans(tracerProvider.getTracer(NAME), spans))),
  ];
  return () => {
    for (const stop of stops.splice(0)) stop();
  };
};

/** The channels that are listened to. Node drops a channel without references, together with its subscribers. */
const channels = new Map<string, Channel>();

const channelOf = (name: string): Channel => {
  const known = channels.get(name) ?? channel(name);
  channels.set(name, known);
  return known;
};

const listen = <Message>(name: string, onMessage: (message: Message) => void): (() => void) => {
  const listener = (message: unknown): void => onMessage(message as Message);
  const on = channelOf(name);
  on.subscribe(listener);
  return () => on.unsubscribe(listener);
};

const CALLBACK = "tracing:websock-js:callback";

/** The spans run their callbacks in a context of OpenTelemetry, whose AsyncLocalStorage is not public. */
const listenForSpans = (spans: Spans): (() => void)[] => {
  const onStart = (call: StartedCall): void => {
    const entered = spans.startCall(call);
    call[RUN_IN] = (task) => context.with(entered, task);
  };
  return [
    listen(`${CALLBACK}:start`, onStart),
    listen("websock-js:upgrade", spans.onUpgrade.bind(spans)),
    listen("websock-js:close", spans.onClose.bind(spans)),
    listen(`${CALLBACK}:error`, spans.onError.bind(spans)),
    listen(`${CALLBACK}:end`, spans.onReturn.bind(spans)),
    listen(`${CALLBACK}:asyncEnd`, spans.onSettled.bind(spans)),
    () => spans.stop(),
  ];
};
