/** What the requests of one Node server have in common, whatever version of HTTP brings them in. */
import { UpgradeError } from "../errors.ts";
import type { WebSockOptions } from "../options.ts";
import type { Route } from "../route.ts";
import type { Callbacks } from "../session/handler.ts";
import type { Capabilities } from "../session/transport.ts";
import type { Upgradable } from "../upgrade.ts";
import { validateUpgrade } from "../upgrade-validation.ts";
import { Host, type HostOptions } from "./host.ts";
import { nodeDiagnostics } from "./node-diagnostics.ts";
import { nodeOctets } from "./node-octets.ts";
import { factsOf, type NodeRequest, type NodeServer } from "./node-requests.ts";
import { answerInsteadOfSrvx } from "./node-response.ts";

/** What our own engine can do on Node. */
export const capabilities = Object.freeze<Capabilities>({
  host: "node",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  answersClose: true,
  abort: true,
  asyncContext: true,
  crossConnection: true,
  compress: true,
  idleClock: true,
  ignores: ["fullsweepAfter", "maxHeapSize"],
});

/** Which of the requests are ours. */
type Only = ((request: NodeRequest) => boolean) | undefined;

/** Servers whose requests are brought in already: a second adapter would answer them as well. */
export const attached = new WeakSet<object>();

/** For ordinary requests, which nobody can upgrade: `upgrade` says why. */
export class NodeAdapter extends Host implements Upgradable {
  readonly server: NodeServer;
  readonly only: Only;

  constructor(server: NodeServer, only: Only, options: HostOptions, what = capabilities) {
    super(what, nodeOctets, nodeDiagnostics, options);
    this.server = server;
    this.only = only;
  }

  /** Whether somebody else waits for the upgrade requests that are none of ours. */
  get hasOthers(): boolean {
    return this.server.listenerCount("upgrade") > 1;
  }

  upgrade(conn: object, { name }: Callbacks, _arg: unknown, options: WebSockOptions | undefined, route: Route): never {
    const facts = factsOf(route.request as NodeRequest);
    const refusal = validateUpgrade(facts, this.resolve(options)) ?? ordinary();
    // Express takes the mount path of a router off the url.
    const { originalUrl = facts.url } = route.request as { readonly originalUrl?: string };
    this.refusals.add(refusal, route.request, { ...facts, url: originalUrl }, name);
    answerInsteadOfSrvx(conn, refusal);
    throw refusal;
  }
}

/** A sound request that is none of ours: the option `only` says so. */
const ordinary = (): UpgradeError =>
  new UpgradeError(426, "this server serves this request as an ordinary one: it can't be upgraded", {
    upgrade: "websocket",
    connection: "Upgrade",
  });
