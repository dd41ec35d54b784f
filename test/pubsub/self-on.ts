/** Connections on hosts that tests do not run on. */
import { ok, type Self } from "websock-js";
import { ManualClock } from "websock-js/testing";
import { resolveOptions } from "../../src/options.ts";
import { portableByteOps } from "../../src/protocol/byte-ops.ts";
import { callbacksOf } from "../../src/session/handler.ts";
import { Session } from "../../src/session/session.ts";
import { FACTS } from "../../src/testing/connect.ts";
import { capabilities, MemoryTransport } from "../../src/testing/memory-transport.ts";

/** A `self` on a host with other capabilities, or in a Durable Object. */
export const selfOn = (environment: { crossConnection?: boolean; home?: object }): Self<unknown> => {
  const nothing = (): void => undefined;
  const peer = { onMessage: nothing, onClose: nothing, onAbort: nothing, onResume: nothing };
  const { crossConnection = true, home } = environment;
  const handler = callbacksOf({ init: () => ok(0), handleIn: () => ok(0) });
  return new Session(handler, new MemoryTransport(peer), FACTS, {
    capabilities: { ...capabilities, host: "worker", crossConnection },
    options: resolveOptions({}),
    clock: new ManualClock(),
    byteOps: portableByteOps,
    onError: nothing,
    ...(home !== undefined && { home: { id: "object", storedTopics: () => [], find: () => undefined } }),
  }).self;
};
