/** Upgrades in Workers. */
import type { ResolvedOptions, UpgradeRequest } from "../../options.ts";
import { portableByteOps } from "../../protocol/byte-ops.ts";
import type { Session, SessionEnvironment } from "../../session/session.ts";
import { FetchUpgrade, upgradesWithoutAttach } from "../fetch/upgrade.ts";
import type { HostOptions } from "../shared/attachment.ts";
import { connectionFacts, type Decision } from "../shared/decision.ts";
import { SystemClock } from "../shared/system-clock.ts";
import { later } from "../shared/timers.ts";
import { capabilities } from "./capabilities.ts";
import { cloudflareDiagnostics } from "./diagnostics.ts";
import { CloudflareHost } from "./host.ts";
import { CloudflareTransport } from "./transport.ts";
import type { CloudflareSocket, CloudflareSocketPair } from "./types.ts";

declare const WebSocketPair: CloudflareSocketPair;

/** Keeps a request alive until a promise settles. */
type WaitUntil = (promise: Promise<unknown>) => void;

// On other hosts this module does not exist and nothing is imported.
const platform = "cloudflare:workers";
const { waitUntil }: { readonly waitUntil?: WaitUntil } = "WebSocketPair" in globalThis ? await import(platform) : {};

/** Creates a connection: its server end, and the response that passes the other end to the client. */
export const openPair = (
  { subprotocol }: Decision,
  headers: Headers,
): { readonly socket: CloudflareSocket; readonly respond: () => Response } => {
  const { 0: client, 1: socket } = new WebSocketPair();
  if (subprotocol !== undefined) headers.set("sec-websocket-protocol", subprotocol);
  return { socket, respond: () => new Response(null, { status: 101, headers, webSocket: client } as ResponseInit) };
};

/** The client's address, as far as the platform knows it. */
export const peerOf = (request: Request): { readonly remoteAddress: string | undefined } => ({
  remoteAddress: request.headers.get("cf-connecting-ip") ?? undefined,
});

/** Deferred functions run in the current request, which would end before them: `waitUntil` keeps it alive. */
class WorkerClock extends SystemClock {
  override defer(run: () => void): void {
    const ran = new Promise<void>((resolve) => {
      later(() => {
        resolve();
        run();
      });
    });
    waitUntil?.(ran);
  }
}

export class WorkerHost extends CloudflareHost {
  private readonly givenClock: HostOptions["clock"];
  private readonly onSessionEnd = new WeakMap<Session, () => void>();

  constructor(options: HostOptions = {}) {
    super(capabilities, portableByteOps, cloudflareDiagnostics, options);
    this.givenClock = options.clock;
  }

  /** Each session has its own clock: a timer belongs to the request that started it, and ends with that request. */
  protected override environmentFor(options: ResolvedOptions): SessionEnvironment {
    const clock = this.givenClock ?? new WorkerClock();
    const onEnd = (session: Session): void => this.onEnd(session);
    return { ...super.environmentFor(options), clock, onEnd };
  }

  /** Keeps the request alive after its socket has closed, while callbacks still have to run. */
  keepRequestAlive(session: Session): void {
    if (this.group.has(session)) waitUntil?.(new Promise<void>((resolve) => this.onSessionEnd.set(session, resolve)));
  }

  private onEnd(session: Session): void {
    this.group.delete(session);
    this.onSessionEnd.get(session)?.();
  }
}

class WorkerUpgrade extends FetchUpgrade<WorkerHost> {
  protected perform(decision: Decision, upgradeRequest: UpgradeRequest, headers: Headers): Response {
    const { host, request } = this;
    const { callbacks, arg, options, subprotocol, asyncContext } = decision;
    const { socket, respond } = openPair(decision, headers);
    socket.binaryType = "arraybuffer";
    socket.accept({ allowHalfOpen: true });
    const transport = new CloudflareTransport(socket, options.maxMessageSize, host);
    const session = host.newSession(
      callbacks,
      transport,
      connectionFacts(upgradeRequest, peerOf(request), subprotocol, undefined),
      options,
      asyncContext,
    );
    socket.addEventListener("message", ({ data }: { data: string | ArrayBuffer }) => transport.message(data));
    socket.addEventListener("close", ({ code, reason }: { code: number; reason: string }) => {
      transport.closing(code, reason);
      host.keepRequestAlive(session);
    });
    socket.addEventListener("error", ({ message }: { message: string }) => {
      transport.failed(message);
      host.keepRequestAlive(session);
    });
    session.start(arg);
    return respond();
  }
}

const host = new WorkerHost();

/** Upgrades the requests of a Worker, which needs no `attach`. */
export const workerUpgrades = upgradesWithoutAttach((request) => new WorkerUpgrade(host, request));
