import { require, run } from "./app.mjs";

const Sentry = require("@sentry/node");

const spans = [];
Sentry.init({
  dsn: "http://key@127.0.0.1:9/1",
  tracesSampleRate: 1,
  traceLifecycle: "static",
  // Nothing is sent.
  beforeSendTransaction: ({ transaction, contexts, tags }) => {
    const { trace_id: trace, span_id: id, parent_span_id: parent } = contexts.trace;
    if (!transaction.startsWith("in "))
      spans.push({ name: transaction.replace("GET ", ""), trace, id, parent, user: tags?.user });
    return null;
  },
});
// Not from what would be sent: Sentry may drop a span that begins while the transaction of its request is being sent.
Sentry.getClient().on("spanEnd", (span) => {
  const { name, trace_id: trace, span_id: id, parent_span_id: parent } = Sentry.spanToJSON(span);
  if (name.startsWith("in ")) spans.push({ name, trace, id, parent, user: users.get(id) });
});

/** Which user's code has made a span. */
const users = new Map();

await run(
  (name, user) => {
    Sentry.setTag("user", user);
    Sentry.startSpan({ name }, (span) => void users.set(span.spanContext().spanId, user));
  },
  async () => {
    await Sentry.flush();
    return [...spans, { name: "global", user: Sentry.getIsolationScope().getScopeData().tags.user }];
  },
);
