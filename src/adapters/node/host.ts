/** The host class of Node servers, for HTTP/1.1 and HTTP/2. */

import type { UpgradeError } from "../../errors.ts";
import { requireSynchronous } from "../../upgrade-validation.ts";
import type { HostOptions } from "../shared/attachment.ts";
import { Host } from "../shared/host.ts";
import { nodeByteOps } from "../shared/node-byte-ops.ts";
import { nodeDiagnostics } from "../shared/node-diagnostics.ts";
import { capabilities } from "./capabilities.ts";
import type { NodeRequest, NodeServer } from "./types.ts";

/** The option of the same name: selects the requests for the app. */
type Only = ((request: NodeRequest) => boolean) | undefined;

/** Servers that were passed to `attach`. A second call would answer their requests twice. */
export const attached = new WeakSet<object>();

/** Added as an `upgrade` listener: without one, Node handles upgrade requests as ordinary ones. */
export const ignoreUpgrade = (): void => undefined;

export class NodeHost extends Host {
  readonly server: NodeServer;
  private readonly only: Only;
  /** Whether `attach` was called without the option `only`. */
  readonly takesAllUpgrades: boolean;

  constructor(server: NodeServer, only: Only, options: HostOptions, what = capabilities) {
    super(what, nodeByteOps, nodeDiagnostics, options);
    this.server = server;
    this.only = only;
    this.takesAllUpgrades = only === undefined;
  }

  /**
   * Whether an upgrade request is for the app, as `only` decides. An error, if it threw: the refusal of the request.
   */
  isOurs(request: NodeRequest): boolean | UpgradeError {
    const { only } = this;
    if (only === undefined) return true;
    return this.callUserFunction("only", request, () => Boolean(requireSynchronous("only", only(request))));
  }

  /** The number of `upgrade` listeners other than {@link ignoreUpgrade}. */
  get otherListeners(): number {
    const { server } = this;
    return server.listenerCount("upgrade") - server.listenerCount("upgrade", ignoreUpgrade);
  }

  /** Warns once that other listeners receive no requests. */
  warnOfOtherListeners(event: "upgrade" | "connect"): void {
    this.warnOnce(
      `this server has other "${event}" listeners, but attach() received no option "only": these requests all go to the ` +
        "app, and none to those listeners. Select the requests of the app, for example " +
        'attach(server, { only: (request) => request.url === "/socket" })',
    );
  }
}
