/** The spans of `websock-js/opentelemetry`, and the context of callbacks. */
import { once } from "node:events";
import { context, SpanStatusCode, trace } from "@opentelemetry/api";
import { expect, test } from "vitest";
import { type DataMessage, ok, push, upgrade } from "websock-js";
import { WebSocket } from "ws";
import { serve } from "../support/node-server.ts";
import { measured } from "./measured.ts";

type Measured = ReturnType<typeof measured>;

/** A server whose routes run in a span, and one connection to it that sends two messages, of which the second fails. */
const run = async ({ tracer }: Measured, handleIn?: (message: DataMessage) => unknown): Promise<void> => {
  const handler = {
    name: "chat",
    init: () => ok(0),
    handleIn: async (message: DataMessage) => {
      await undefined;
      tracer.startSpan("query").end();
      if (message.data === "fail") throw new RangeError("no");
      return push(message, 0);
    },
    terminate: () => void tracer.startSpan("goodbye").end(),
    ...(handleIn && { handleIn }),
  };
  const { port, sockets } = await serve((request) => {
    const span = tracer.startSpan("GET /socket");
    context.with(trace.setSpan(context.active(), span), () => upgrade(request, handler as never));
    span.end();
  });
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket`);
  await once(client, "open");
  client.send("hello");
  await once(client, "message");
  client.send("fail");
  await once(client, "close");
  while (sockets.connections > 0) await new Promise((resolve) => setImmediate(resolve));
};

const tree = (all: Measured): Record<string, string | undefined> => {
  const spans = all.spans();
  const nameOf = (id: string | undefined) => spans.find((span) => span.spanContext().spanId === id)?.name;
  return Object.fromEntries(spans.map((span) => [span.name, nameOf(span.parentSpanContext?.spanId)]));
};

test("without spans of ours, those of the application are children of the upgrade's", async () => {
  const all = measured();
  await run(all);
  expect(tree(all)).toEqual({ "GET /socket": undefined, query: "GET /socket", goodbye: "GET /socket" });
});

test("children: the application's spans are in the callback's, and those in the connection's", async () => {
  const all = measured({ spans: "children" });
  await run(all);
  expect(tree(all)).toEqual({
    "GET /socket": undefined,
    "websocket chat": "GET /socket",
    "init chat": "websocket chat",
    "handleIn chat": "websocket chat",
    query: "handleIn chat",
    "terminate chat": "websocket chat",
    goodbye: "terminate chat",
  });
  const connection = all.spans().find(({ name }) => name === "websocket chat")!;
  expect(connection.attributes).toMatchObject({
    "websock.handler": "chat",
    "url.path": "/socket",
    "network.protocol.version": "1.1",
    "client.address": "127.0.0.1",
    "websock.close.reason": "error",
    "error.type": "RangeError",
    "websock.close.code.sent": 1011,
  });
  expect(connection.status.code).toBe(SpanStatusCode.ERROR);
  const calls = all.spans().filter(({ name }) => name === "handleIn chat");
  expect(calls.map(({ status }) => status.code)).toEqual([SpanStatusCode.UNSET, SpanStatusCode.ERROR]);
  expect(calls[0]!.attributes).toMatchObject({ "websock.callback": "handleIn", "websock.opcode": "text" });
  expect(calls[1]!.events.map(({ name }) => name)).toEqual(["exception"]);
});

test("linked: each callback is in a trace of its own", async () => {
  const all = measured({ spans: "linked" });
  await run(all);
  expect(tree(all)).toMatchObject({ "handleIn chat": undefined, query: "handleIn chat", "init chat": undefined });
  const connection = all.spans().find(({ name }) => name === "websocket chat")!;
  const calls = all.spans().filter(({ name }) => name === "handleIn chat");
  const traces = new Set([connection, ...calls].map((span) => span.spanContext().traceId));
  expect(traces.size).toBe(3);
  for (const { links } of calls)
    expect(links.map((link) => link.context.spanId)).toEqual([connection.spanContext().spanId]);
});

test("a synchronous callback stays synchronous, and its span ends with it", async () => {
  const all = measured({ spans: "children" });
  await run(all, (message) => {
    if (message.data === "fail") throw new TypeError("no");
    all.tracer.startSpan("query").end();
    return push(message, 0);
  });
  expect(tree(all)).toMatchObject({ query: "handleIn chat", "handleIn chat": "websocket chat" });
});

test("the span of a callback that never settles ends with the connection", async () => {
  const all = measured({ spans: "children" });
  const { port, sockets } = await serve((request) =>
    upgrade(request, { init: () => ok(0), handleIn: () => new Promise<never>(() => undefined) }, undefined, {
      closeTimeout: 10,
    }),
  );
  const client = new WebSocket(`ws://127.0.0.1:${port}/socket`);
  await once(client, "open");
  client.send("hello");
  client.close();
  await once(client, "close");
  while (sockets.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  const [call] = all.spans().filter(({ name }) => name === "handleIn");
  expect(call?.status).toEqual({ code: SpanStatusCode.ERROR, message: "the promise has not settled" });
  expect(tree(all)).toMatchObject({ handleIn: "websocket" });
});
