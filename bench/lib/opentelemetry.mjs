/** Measures the server with `websock-js/opentelemetry`, and reads all metrics every second. */
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";

const exporter = {
  /** @param {unknown} _metrics @param {(result: { code: number }) => void} done */
  export: (_metrics, done) => done({ code: 0 }),
  forceFlush: async () => {},
  shutdown: async () => {},
};

export const measure = async () => {
  const { instrument } = await import("websock-js/opentelemetry");
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1000 });
  instrument({ meterProvider: new MeterProvider({ readers: [reader] }) });
};
