/** Tests of options that Workers and Durable Objects leave to the platform. */
import { expect, test } from "vitest";
import { type CloseReason, ok } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { WorkerHost } from "../../../src/adapters/cloudflare/worker.ts";
import { callbacksOf } from "../../../src/session/handler.ts";
import type { ConnectionFacts } from "../../../src/session/self.ts";
import type { Transport } from "../../../src/transport.ts";

test("in a Worker, timeout has no effect, which is reported: a client that only listens is never closed as idle", () => {
  const clock = new ManualClock();
  const reports: string[] = [];
  const reasons: CloseReason[] = [];
  const host = new WorkerHost({ clock, onError: (error) => void reports.push(String(error)) });
  const handler = { init: () => ok(0), handleIn: () => ok(0), terminate: (why: CloseReason) => void reasons.push(why) };
  const closes: unknown[] = [];
  const transport = {
    open: () => undefined,
    buffered: 0,
    bytesFlushed: 0,
    close: (...detail: unknown[]) => void closes.push(detail),
  };
  const options = host.resolve({ timeout: 1_000 });
  const start = (resolved: typeof options): void =>
    host
      .newSession(callbacksOf(handler), transport as unknown as Transport, {} as ConnectionFacts, resolved, undefined)
      .start(undefined);
  start(options);
  start(host.resolve(undefined));
  clock.advance(1e9);
  expect([closes, reasons]).toEqual([[], []]);
  expect(reports).toEqual([expect.stringContaining('"timeout" has no effect on cloudflare')]);
});
