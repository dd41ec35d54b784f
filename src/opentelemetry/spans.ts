/** Spans of connections and of their callbacks. */
import {
  type Attributes,
  type Context,
  context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { CallbackEvent, CloseEvent, UpgradeEvent } from "../diagnostics.ts";
import { errorAttributes, handlerAttributes, reasonAttributes } from "./attributes.ts";

/**
 * Where the spans of callbacks are: `"children"` of the connection's span, in one trace; or each in a trace of its own,
 * `"linked"` to the connection's span.
 */
export type CallbackSpans = "children" | "linked";

const fail = (span: Span, error: unknown): void => {
  span.setAttributes(errorAttributes(error));
  if (error instanceof Error) span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR });
};

const defined = (attributes: Attributes): Attributes =>
  Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined));

export class Spans {
  private readonly tracer: Tracer;
  private readonly placement: CallbackSpans;
  private readonly connections = new Map<string, Span>();
  /** The spans of calls that have not ended, by the id of the connection and the message of their events. */
  private readonly calls = new Map<string, Map<CallbackEvent, Span>>();

  constructor(tracer: Tracer, placement: CallbackSpans) {
    this.tracer = tracer;
    this.placement = placement;
  }

  /** Called in the context of the upgrade: the connection's span is a child of the request's. */
  onUpgrade({ id, handler, path, connection, httpVersion, subprotocol }: UpgradeEvent): void {
    const attributes = defined({
      ...handlerAttributes(handler),
      "websock.connection.id": id,
      "websock.subprotocol": subprotocol,
      "url.path": path,
      "network.protocol.name": "websocket",
      "http.request.method": connection.method,
      "network.protocol.version": httpVersion,
      "client.address": connection.remoteAddress,
      "client.port": connection.remotePort,
    });
    this.connections.set(id, this.tracer.startSpan(nameOf("websocket", handler), { attributes }));
  }

  onClose({ id, reason, codeSent, codeReceived }: CloseEvent): void {
    this.endAbandoned(id);
    const span = this.connections.get(id);
    if (span === undefined) return;
    this.connections.delete(id);
    span.setAttributes(
      defined({
        ...reasonAttributes(reason),
        "websock.close.code.sent": codeSent,
        "websock.close.code.received": codeReceived,
      }),
    );
    if (typeof reason === "object") fail(span, reason.error);
    span.end();
  }

  /** Starts the span of a call, and returns the context in which the callback runs. */
  startCall(call: CallbackEvent): Context {
    const { id, handler, callback, opcode } = call;
    const active = context.active();
    const connection = this.connections.get(id);
    const attributes = defined({
      ...handlerAttributes(handler),
      "websock.connection.id": id,
      "websock.callback": callback,
      "websock.opcode": opcode,
    });
    const name = nameOf(callback, handler);
    let span: Span;
    if (connection === undefined || this.placement === "children") {
      const parent = connection === undefined ? active : trace.setSpan(active, connection);
      span = this.tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes }, parent);
    } else {
      const links = [{ context: connection.spanContext() }];
      span = this.tracer.startSpan(name, { kind: SpanKind.INTERNAL, attributes, root: true, links }, active);
    }
    const calls = this.calls.get(id) ?? new Map<CallbackEvent, Span>();
    this.calls.set(id, calls.set(call, span));
    return trace.setSpan(active, span);
  }

  onError(call: CallbackEvent): void {
    const span = this.calls.get(call.id)?.get(call);
    if (span !== undefined) fail(span, call.error);
  }

  onReturn(call: CallbackEvent): void {
    if (!call.isPending) this.endCall(call);
  }

  onSettled(call: CallbackEvent): void {
    this.endCall(call);
  }

  private endCall(call: CallbackEvent): void {
    const calls = this.calls.get(call.id);
    calls?.get(call)?.end();
    calls?.delete(call);
    if (calls?.size === 0) this.calls.delete(call.id);
  }

  /** Ends the spans of calls whose promise has not settled: the session has abandoned them. */
  private endAbandoned(id: string): void {
    for (const span of this.calls.get(id)?.values() ?? []) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: "the promise has not settled" });
      span.end();
    }
    this.calls.delete(id);
  }

  /** Ends the spans of connections that are still open, and of their calls. */
  stop(): void {
    for (const calls of this.calls.values()) for (const span of calls.values()) span.end();
    this.calls.clear();
    for (const span of this.connections.values()) span.end();
    this.connections.clear();
  }
}

const nameOf = (what: string, handler: string | undefined): string =>
  handler === undefined ? what : `${what} ${handler}`;
