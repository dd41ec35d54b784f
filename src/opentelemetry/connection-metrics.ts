/** The metrics of connections. */
import type { Attributes, BatchObservableResult, Meter, Observable } from "@opentelemetry/api";
import type { CloseEvent, DrainEvent, OpenEvent, RefusedEvent, UpgradeEvent } from "../diagnostics.ts";
import { DURATION_BOUNDS } from "../session/observed/counts.ts";
import { errorAttributes, handlerAttributes, reasonAttributes } from "./attributes.ts";
import { CallbackDurations } from "./callback-durations.ts";
import { LiveConnections, type Open } from "./live-connections.ts";
import type { Totals } from "./totals.ts";

const SECONDS = [0.1, 1, 10, 60, 300, 900, 3600, 14_400, 86_400];

/** Of the semantic conventions. */
const DIRECTION = "network.io.direction";

export const connectionMetrics = (meter: Meter) => {
  const live = new LiveConnections();
  const upgrades = meter.createCounter("websock.server.upgrades", {
    unit: "{request}",
    description: "Upgrade requests by outcome",
  });
  const closes = meter.createCounter("websock.server.closes", {
    unit: "{connection}",
    description: "Connections that were closed, by reason",
  });
  const slowConsumers = meter.createCounter("websock.server.slow_consumers", {
    unit: "{connection}",
    description: "Connections that were closed because the client reads too slowly",
  });
  // A rare event is a series from the beginning, so that its first increase is seen.
  slowConsumers.add(0);
  const duration = meter.createHistogram("websock.server.connection.duration", {
    unit: "s",
    description: "How long connections were open",
    advice: { explicitBucketBoundaries: SECONDS },
  });
  const drains = meter.createCounter("websock.server.drains", {
    unit: "{drain}",
    description: "How often all connections of a server were closed",
  });
  const errors = meter.createCounter("websock.server.errors", {
    unit: "{error}",
    description: "Errors that were reported to onError",
  });
  const callbackDuration = meter.createHistogram("websock.server.callback.duration", {
    unit: "s",
    description: "How long callbacks took, until their promise settled",
    advice: { explicitBucketBoundaries: DURATION_BOUNDS.map((bound) => bound / 1000) },
  });
  const durations = new CallbackDurations(callbackDuration);

  const counter = (name: string, unit: string, description: string): Observable =>
    meter.createObservableCounter(`websock.server.${name}`, { unit, description });
  const gauge = (name: string, unit: string, description: string): Observable =>
    meter.createObservableUpDownCounter(`websock.server.${name}`, { unit, description });

  const open: Readonly<Record<keyof Open, Observable>> = {
    connections: gauge("active_connections", "{connection}", "Open connections"),
    messages: gauge("mailbox.messages", "{message}", "Messages that wait for the handler"),
    bytes: gauge("mailbox.size", "By", "The bytes of messages that wait for the handler"),
    infos: gauge("mailbox.infos", "{info}", "Infos that wait for the handler"),
    buffered: gauge("buffered", "By", "Bytes that are buffered for the clients"),
  };
  const messages = counter("messages", "{message}", "Messages by direction and opcode");
  const io = counter("io", "By", "Bytes of the payloads of messages, before compression");
  const frames = counter("frames", "{frame}", "Frames of complete messages");
  const compressed = counter("io.compressed", "By", "Bytes of the payloads of compressed messages, as transferred");
  const callbackErrors = counter("callback.errors", "{error}", "Errors of callbacks");
  const callbackTime = counter("callback.time", "s", "How long all callbacks took together");
  const observables = [...Object.values(open), messages, io, frames, compressed, callbackErrors, callbackTime];

  const observeTraffic = (result: BatchObservableResult, traffic: Totals["received"], attributes: Attributes): void => {
    for (const [kind, tally] of Object.entries(traffic.kinds)) {
      result.observe(messages, tally.messages, { ...attributes, "websock.opcode": kind });
      result.observe(io, tally.bytes, { ...attributes, "websock.opcode": kind });
    }
    if (traffic.frames !== undefined) result.observe(frames, traffic.frames, attributes);
    if (traffic.compressedBytes !== undefined) result.observe(compressed, traffic.compressedBytes, attributes);
  };

  const observe = (result: BatchObservableResult): void => {
    for (const [handler, now, { received, sent, callbacks }] of live.read()) {
      const attributes = handlerAttributes(handler);
      for (const [name, value] of Object.entries(now)) result.observe(open[name as keyof Open], value, attributes);
      observeTraffic(result, received, { ...attributes, [DIRECTION]: "receive" });
      observeTraffic(result, sent, { ...attributes, [DIRECTION]: "transmit" });
      result.observe(callbackErrors, callbacks.errors, attributes);
      result.observe(callbackTime, callbacks.total / 1000, attributes);
      durations.record(handler, callbacks.durations, attributes);
    }
  };
  meter.addBatchObservableCallback(observe, observables);

  return {
    onUpgrade: (event: UpgradeEvent): void => {
      live.add(event);
      const { handler, httpVersion } = event;
      const outcome = { "websock.upgrade.outcome": "accepted", "network.protocol.version": httpVersion };
      upgrades.add(1, { ...outcome, ...handlerAttributes(handler) });
    },
    onRefused: ({ status, handler }: RefusedEvent): void => {
      const outcome = { "websock.upgrade.outcome": "refused", "http.response.status_code": status };
      upgrades.add(1, { ...outcome, ...handlerAttributes(handler) });
    },
    /** A connection that continues after hibernation has not been upgraded in this process. */
    onOpen: (event: OpenEvent): void => {
      if (event.resumed) live.add(event);
    },
    onClose: (event: CloseEvent): void => {
      live.delete(event);
      const attributes = { ...handlerAttributes(event.handler), ...reasonAttributes(event.reason) };
      closes.add(1, attributes);
      duration.record(event.duration / 1000, attributes);
      if (attributes["error.type"] === "SlowConsumer") slowConsumers.add(1, handlerAttributes(event.handler));
    },
    onDrain: ({ phase, code }: DrainEvent): void => {
      if (phase === "start") drains.add(1, { "websock.close.code": code });
    },
    onError: ({ error, callback, handler }: { error: unknown; callback?: string; handler?: string }): void => {
      const of = callback === undefined ? {} : { "websock.callback": callback };
      errors.add(1, { ...errorAttributes(error), ...of, ...handlerAttributes(handler) });
    },
    stop: (): void => meter.removeBatchObservableCallback(observe, observables),
  };
};
