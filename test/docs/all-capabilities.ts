/** The capabilities of every adapter, in the order of the table in `docs/hosts.md`. A new adapter is a line here. */
import { capabilities as bun } from "../../src/adapters/bun/transport.ts";
import { capabilities as cloudflare, durableCapabilities } from "../../src/adapters/cloudflare/transport.ts";
import { capabilities as deno } from "../../src/adapters/deno/transport.ts";
import { capabilities as node } from "../../src/adapters/node/host.ts";
import { capabilities as ws } from "../../src/adapters/ws/transport.ts";
import type { Ability, Capabilities } from "../../src/capabilities.ts";
import { capabilities as memory } from "../../src/testing/memory-transport.ts";

export const allCapabilities: readonly (readonly [title: string, capabilities: Capabilities])[] = [
  ["`/node`: HTTP/1.1 and HTTP/2", node],
  ["`/ws`", ws],
  ["`/bun`", bun],
  ["`/deno`", deno],
  ["`/cloudflare`: a Worker", cloudflare],
  ["`/cloudflare`: a Durable Object", durableCapabilities],
  ["`/testing`: in memory", memory],
];

/** What each ability is, for the table; the whole of it is in `src/session/transport.ts`. */
export const abilities: Readonly<Record<Ability, string>> = {
  control: "pings and pongs are seen and sent, heartbeat",
  pause: "reading can be paused: a flood becomes backpressure on its sender",
  drain: "it is seen when the peer has taken what waited",
  closeDetail: "the code and text of the peer's close frame are known",
  answersClose: "the peer's close frame is answered after what came before it was handled",
  abort: "a connection that does not answer our close frame can be cut off",
  asyncContext: "callbacks run in the AsyncLocalStorage context of their `upgrade` call",
  crossConnection: "a connection can be sent to and stopped by code that runs for another request",
  compress: "compression",
  idleClock: "an idle client is found by our own clock and pings; elsewhere by the host's",
};
