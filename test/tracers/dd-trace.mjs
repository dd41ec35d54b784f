import { require, run } from "./app.mjs";

// Its exporter for AWS Lambda writes each trace to stdout, as JSON.
const spans = [];
const { write } = process.stdout;
process.stdout.write = (chunk, ...rest) => {
  const line = String(chunk);
  if (!line.startsWith('{"traces"')) return Reflect.apply(write, process.stdout, [chunk, ...rest]);
  for (const span of JSON.parse(line).traces.flat()) {
    const { pathname } = new URL(span.meta["http.url"] ?? "http://localhost/", "http://localhost");
    spans.push({
      name: span.name === "web.request" ? pathname : span.name,
      trace: span.trace_id,
      id: span.span_id,
      parent: span.parent_id,
      user: span.meta.user,
    });
  }
  return true;
};

const tracer = require("dd-trace").init({
  experimental: { exporter: "log" },
  flushInterval: 0,
  startupLogs: false,
  remoteConfig: { enabled: false },
  telemetry: { enabled: false },
});

await run(
  (name, user) => tracer.startSpan(name, { childOf: tracer.scope().active(), tags: { user } }).finish(),
  () => spans,
);
