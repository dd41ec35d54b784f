/** What the requests of one Node server have in common, whatever version of HTTP brings them in. */
import { UpgradeError } from "../errors.ts";
import { type ResolvedOptions, resolveOptions, type WebSockOptions } from "../options.ts";
import type { Route } from "../route.ts";
import type { Clock } from "../session/clock.ts";
import type { SessionGroup } from "../session/group.ts";
import type { Callbacks } from "../session/handler.ts";
import type { OnError } from "../session/report.ts";
import type { SessionContext } from "../session/session.ts";
import type { Capabilities } from "../session/transport.ts";
import type { Upgradable } from "../upgrade.ts";
import { validateUpgrade } from "../upgrade-validation.ts";
import { factsOf, type NodeRequest, type NodeServer } from "./node-requests.ts";
import { answerInsteadOfSrvx } from "./node-response.ts";

/** What our own engine can do on Node. */
export const capabilities: Capabilities = Object.freeze({
  host: "node",
  control: true,
  pause: true,
  drain: true,
  closeDetail: true,
  compress: true,
  heap: false,
});

export interface AdapterContext {
  readonly only: ((request: NodeRequest) => boolean) | undefined;
  readonly defaults: ResolvedOptions;
  readonly clock: Clock;
  readonly onError: OnError;
}

/** For ordinary requests, which nobody can upgrade: `upgrade` says why. */
export class NodeAdapter implements Upgradable {
  readonly server: NodeServer;
  readonly group: SessionGroup;
  readonly context: AdapterContext;
  private readonly toldOf = new Set<string>();
  private lastContext: SessionContext | undefined;

  constructor(server: NodeServer, group: SessionGroup, context: AdapterContext) {
    this.server = server;
    this.group = group;
    this.context = context;
  }

  upgrade(
    conn: object,
    _callbacks: Callbacks,
    _arg: unknown,
    options: WebSockOptions | undefined,
    route: Route,
  ): never {
    const facts = factsOf(route.request as NodeRequest);
    const refusal = validateUpgrade(facts, this.resolve(options)) ?? ordinary();
    answerInsteadOfSrvx(conn, refusal);
    throw refusal;
  }

  /** Lays the options of a call over the server's defaults, and says once which of them nobody honours here. */
  resolve(options: WebSockOptions | undefined): ResolvedOptions {
    const resolved = resolveOptions(options, this.context.defaults);
    for (const name of ["fullsweepAfter", "maxHeapSize"] as const) {
      if (resolved[name] === undefined || this.toldOf.has(name)) continue;
      this.toldOf.add(name);
      this.context.onError(
        new TypeError(`the option "${name}" has no effect on the host "${capabilities.host}"`),
        undefined,
      );
    }
    return resolved;
  }

  /** Shared by the sessions that share their options, so that none has to keep one. */
  sessionContext(options: ResolvedOptions): SessionContext {
    if (this.lastContext?.options !== options) {
      const { clock, onError } = this.context;
      this.lastContext = { options, clock, onError, onEnd: this.group.delete };
    }
    return this.lastContext!;
  }
}

/** A sound request that is none of ours: the option `only` says so. */
const ordinary = (): UpgradeError =>
  new UpgradeError(426, "this server serves this request as an ordinary one: it can't be upgraded", {
    upgrade: "websocket",
    connection: "Upgrade",
  });
