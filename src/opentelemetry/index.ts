/** `websock-js/opentelemetry`: metrics and spans of all connections in a process. */
export { type InstrumentOptions, instrument } from "./instrument.ts";
export type { MeasuredPubSub } from "./pubsub-metrics.ts";
export type { CallbackSpans } from "./spans.ts";
