/** The capabilities of every adapter, in the order of the table in `docs/hosts.md`. A new adapter is a line here. */
import { capabilities as bun } from "../../src/adapters/bun/capabilities.ts";
import { capabilities as cloudflare, durableCapabilities } from "../../src/adapters/cloudflare/capabilities.ts";
import { capabilities as deno } from "../../src/adapters/deno/capabilities.ts";
import { capabilities as node } from "../../src/adapters/node/capabilities.ts";
import { capabilities as ws } from "../../src/adapters/ws/capabilities.ts";
import type { Ability, Capabilities } from "../../src/capabilities.ts";
import { isolatedCapabilities } from "../../src/isolate/capabilities.ts";
import { capabilities as memory } from "../../src/testing/memory-transport.ts";

export const allCapabilities: readonly (readonly [title: string, capabilities: Capabilities])[] = [
  ["`/node`: HTTP/1.1 and HTTP/2", node],
  ["`/ws`", ws],
  ["`/bun`", bun],
  ["`/deno`", deno],
  ["`/cloudflare`: a Worker", cloudflare],
  ["`/cloudflare`: a Durable Object", durableCapabilities],
  ["`/isolate`: a handler in a worker, on Node", isolatedCapabilities(node)],
  ["`/testing`: in memory", memory],
];

/** What each ability means, for the table; `Capabilities` in `src/capabilities.ts` has the full definitions. */
export const abilities: Readonly<Record<Ability, string>> = {
  control: "pings and pongs can be sent and received; heartbeat",
  pause: "reading can be paused: a flood becomes backpressure on the client",
  drain: "the host reports when buffered data has been flushed",
  closeDetail: "the code and text of the client's close frame are known",
  answersClose:
    "the library answers the client's close frame, after the handler has handled the earlier messages; without this capability, the host answers it immediately",
  abort: "a connection that does not answer a close frame can be aborted",
  asyncContext: "callbacks run in the AsyncLocalStorage context of their `upgrade` call",
  crossConnection: "code that runs for another request can send to a connection and stop it",
  exactSelf: "what `self` returns is the present state; without it, the last state that is known in the worker",
  compress: "compression",
  idleClock:
    "the library finds idle clients, with its own clock and pings; without this capability, the host finds them, or nobody does if `timeout` is an option without effect",
};
