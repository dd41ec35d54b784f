/**
 * What users write, compiled against the package as it is published: each `@ts-expect-error` fails if the types are
 * lost.
 */
import http from "node:http";
import {
  type CloseReason,
  type DataMessage,
  type ErrorContext,
  type HandleResult,
  handler,
  json,
  ok,
  push,
  type Self,
  stop,
  text,
  UpgradeError,
  upgrade,
  type WebSock,
} from "websock-js";
import { attach as attachBun } from "websock-js/bun";
import { attach as attachDurableObject } from "websock-js/cloudflare";
import { attach as attachDeno } from "websock-js/deno";
import { type Attachment, attach } from "websock-js/node";
import { connect, ManualClock } from "websock-js/testing";
import { attach as attachWs, host } from "websock-js/ws";

const Echo = {
  init: (greeting: string): HandleResult<number> => push(text(greeting), 0),
  handleIn: (message: DataMessage, count: number): HandleResult<number> =>
    message.data === "bye" ? stop("normal", count) : push([message, json({ count })], count + 1),
};

export const Clock = handler<"tick">()({
  init: (_: void, self) => (self.send("tick") ? ok(0) : ok(0)),
  handleIn: (_message, ticks) => ok(ticks),
  handleInfo: (_tick, ticks) => push(text(String(ticks)), ticks + 1),
});

export class Room implements WebSock<string, number, "kick"> {
  init(_name: string, self: Self<"kick">) {
    self.signal.addEventListener("abort", () => undefined);
    return ok(0);
  }
  handleIn(message: DataMessage, count: number) {
    const bytes: Uint8Array | string = message.data;
    return push(message, count + bytes.length);
  }
  handleInfo(_info: "kick", count: number) {
    return stop("kicked", count, { code: 4001 });
  }
  terminate(reason: CloseReason) {
    if (typeof reason === "object") console.error(reason.error);
  }
}

const server = http.createServer((req, res) => {
  try {
    if (req.url === "/echo") upgrade(req, Echo, "hello", { timeout: 5_000, origins: ["https://example.com"] });
    else upgrade(req, Clock, undefined, { heartbeat: false });
  } catch (error) {
    if (error instanceof UpgradeError) res.writeHead(error.status, error.headers).end(error.message);
  }
});

const sockets: Attachment = attach(server, {
  clock: new ManualClock(),
  only: (request) => request.url !== "/",
  onError: (error: unknown, context: ErrorContext | undefined) => console.error(error, context?.handler, context?.path),
});

export const rejected = (req: http.IncomingMessage) => {
  // @ts-expect-error: the arg is of another type
  upgrade(req, Echo, 5);
  // @ts-expect-error: options are no arg
  upgrade(req, Clock, { timeout: 5 });
  // @ts-expect-error: no such option
  attach(server, { defalts: {} });
  // @ts-expect-error: no server
  attach({});
  // @ts-expect-error: no handleIn
  connect({ init: () => ok(0) });
  // @ts-expect-error: no socket
  host({}, req, Echo, "hello");
  // @ts-expect-error: no WebSocketServer
  attachWs(server);
  // @ts-expect-error: no handler
  attachDeno({});
  // @ts-expect-error: no context of a Durable Object
  attachDurableObject({}, {}, Echo);
};

export const served = [sockets.connections, sockets.refused, attachBun({ fetch: () => new Response(null) }).sockets];
