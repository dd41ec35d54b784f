/** What the requests of one Node server have in common, whatever version of HTTP brings them in. */
import type { UpgradeError } from "../../errors.ts";
import type { Capabilities } from "../../transport.ts";
import { requireSynchronous } from "../../upgrade-validation.ts";
import { Host, type HostOptions } from "../shared/host.ts";
import { nodeOctets } from "../shared/node-byte-ops.ts";
import { nodeDiagnostics } from "../shared/node-diagnostics.ts";
import type { NodeRequest, NodeServer } from "./requests.ts";

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

/** The listener for `upgrade` that adapters add: without any, Node takes an upgrade request for an ordinary one. */
export const ignoreUpgrade = (): void => undefined;

export class NodeAdapter extends Host {
  readonly server: NodeServer;
  private readonly only: Only;
  /** Every upgrade request is ours: nothing was said of others. */
  readonly takesAll: boolean;

  constructor(server: NodeServer, only: Only, options: HostOptions, what = capabilities) {
    super(what, nodeOctets, nodeDiagnostics, options);
    this.server = server;
    this.only = only;
    this.takesAll = only === undefined;
  }

  /**
   * Whether a request that asks for another protocol is for the app, as `only` says. An error: that can't be known, and the
   * request is refused with it.
   */
  isOurs(request: NodeRequest): boolean | UpgradeError {
    const { only } = this;
    if (only === undefined) return true;
    return this.ask("only", request, () => Boolean(requireSynchronous("only", only(request))));
  }

  /** How many `upgrade` listeners the server has for requests that are none of ours: all but {@link ignoreUpgrade}. */
  get others(): number {
    return this.server.listeners("upgrade").filter((listener) => listener !== ignoreUpgrade).length;
  }

  /** Says once that the listeners of others are left without requests. */
  tellOfOthers(event: "upgrade" | "connect"): void {
    this.tell(
      `this server has other "${event}" listeners, but attach() received no option "only": these requests all go to the ` +
        "app, and none to those listeners. Select the requests of the app, for example " +
        'attach(server, { only: (request) => request.url === "/socket" })',
    );
  }
}
