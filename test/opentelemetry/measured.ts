/** Providers of OpenTelemetry that keep everything in memory, for one test. */
import { type Context, context, type TextMapPropagator, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  DataPointType,
  type Histogram,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { onTestFinished } from "vitest";
import { type InstrumentOptions, instrument } from "websock-js/opentelemetry";

export type { Context, TextMapPropagator };

/** The sum of the data points of a metric whose attributes contain these; of a histogram, the number of values. */
export type Read = (name: string, attributes?: Record<string, unknown>) => number;

export const measured = (options: Omit<InstrumentOptions, "meterProvider" | "tracerProvider"> = {}) => {
  const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter: metricExporter, exportIntervalMillis: 2 ** 30 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const spanExporter = new InMemorySpanExporter();
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spanExporter)] });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const stop = instrument({ meterProvider, tracerProvider, ...options });
  onTestFinished(async () => {
    stop();
    context.disable();
    trace.disable();
    await meterProvider.shutdown();
  });

  const collect = async () => {
    await reader.forceFlush();
    const all =
      metricExporter
        .getMetrics()
        .at(-1)
        ?.scopeMetrics.flatMap(({ metrics }) => metrics) ?? [];
    const points = (name: string, attributes: Record<string, unknown> = {}) => {
      const metric = all.find(({ descriptor }) => descriptor.name === name);
      const isHistogram = metric?.dataPointType === DataPointType.HISTOGRAM;
      return (metric?.dataPoints ?? [])
        .filter((point) => Object.entries(attributes).every(([key, value]) => point.attributes[key] === value))
        .map(({ attributes: its, value }) => ({
          attributes: its,
          value: isHistogram ? (value as Histogram).count : (value as number),
          histogram: isHistogram ? (value as Histogram) : undefined,
        }));
    };
    const read: Read = (name, attributes) => points(name, attributes).reduce((sum, { value }) => sum + value, 0);
    return { read, points, descriptors: all.map(({ descriptor }) => descriptor) };
  };
  return { collect, stop, spans: () => spanExporter.getFinishedSpans(), tracer: tracerProvider.getTracer("test") };
};
