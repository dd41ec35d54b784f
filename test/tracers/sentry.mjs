import { require, run } from "./app.mjs";

const Sentry = require("@sentry/node");

const spans = [];
Sentry.init({
  dsn: "http://key@127.0.0.1:9/1",
  tracesSampleRate: 1,
  traceLifecycle: "static",
  // Nothing is sent.
  beforeSendTransaction: ({ transaction, contexts, tags, spans: children = [] }) => {
    const { trace_id: trace, span_id: id, parent_span_id: parent } = contexts.trace;
    spans.push({ name: transaction.replace("GET ", ""), trace, id, parent, user: tags?.user });
    for (const child of children) {
      spans.push({ name: child.description, trace: child.trace_id, id: child.span_id, parent: child.parent_span_id });
    }
    return null;
  },
});

await run(
  (name, user) => {
    Sentry.setTag("user", user);
    Sentry.startSpan({ name }, () => {});
  },
  async () => {
    await Sentry.flush();
    return [...spans, { name: "global", user: Sentry.getIsolationScope().getScopeData().tags.user }];
  },
);
