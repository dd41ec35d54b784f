/** What the connections of one server have in common, whatever the host: options, sessions, and where errors go. */
import { UpgradeError } from "../../errors.ts";
import { checkKeys, show } from "../../known-keys.ts";
import { isOptionName, type ResolvedOptions, resolveOptions, type WebSockOptions } from "../../options.ts";
import type { Octets } from "../../protocol/byte-ops.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import type { Clock } from "../../session/clock.ts";
import { type DrainOptions, SessionGroup } from "../../session/group.ts";
import type { Callbacks } from "../../session/handler.ts";
import type { OnError } from "../../session/report.ts";
import type { ConnectionFacts } from "../../session/self.ts";
import { Session, type SessionContext } from "../../session/session.ts";
import type { Capabilities, Transport } from "../../transport.ts";
import type { Self } from "../../websock.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { Refusals } from "./refusals.ts";
import { reporter } from "./reporting.ts";
import { systemClock } from "./system-clock.ts";

/** What every `attach` takes. */
export interface HostOptions {
  /** Options for every `upgrade` on this server, where the call says nothing else. */
  readonly defaults?: WebSockOptions;
  /** Is told of the errors in callbacks. Default: prints them with `console.error`. */
  readonly onError?: OnError;
  /** Time, for tests: a `ManualClock` from `websock-js/testing`. Default: the system's. */
  readonly clock?: Clock;
}

/**
 * A server with WebSockets. Iterating over it gives the address of every open connection:
 *
 * ```ts
 * for (const self of sockets) self.push(text("maintenance at noon"));
 * ```
 */
export interface Attachment<Info = unknown> extends Iterable<Self<Info>> {
  /** How many connections are open. */
  readonly connections: number;
  /** The open connection with this `self.id`; `undefined` if there is none. */
  get(id: string): Self<Info> | undefined;
  /** How many upgrade requests were refused so far: those that an `UpgradeError` answers. */
  readonly refused: number;
  /**
   * Closes every connection with 1001 and refuses upgrades with 503 from now on. Resolves when all connections are gone;
   * one that does not answer is cut off after its `closeTimeout`. The server itself is yours to close, and on
   * Node that includes this; of HTTP/2, the connections that WebSockets were all of are closed too.
   */
  close(): Promise<void>;
  /**
   * The same with 1012, batch by batch, so that the clients do not come back all at once.
   *
   * @throws TypeError for an option that is no number above zero
   */
  drain(options?: DrainOptions): Promise<void>;
}

/** @throws TypeError for an option of `attach` that does not exist */
export const checkHostOptions = (options: HostOptions, ...more: readonly string[]): void => {
  const names = [...more, "defaults", "onError", "clock"];
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`the options of attach() must be an object, not ${show(options)}`);
  }
  const ofUpgrade = Object.keys(options).find((name) => isOptionName(name) && !names.includes(name));
  if (ofUpgrade !== undefined) {
    throw new TypeError(
      `"${ofUpgrade}" is an option of upgrade(); pass it to attach() as { defaults: { ${ofUpgrade}: … } }`,
    );
  }
  checkKeys(options, names);
};

/** The request that a function of the application is asked about. */
type Asked = { readonly method?: string | undefined; readonly url?: string | undefined };

/** So many different errors of the application's functions are reported. */
const MAX_TOLD = 32;

const messageOf = (error: unknown): string => {
  try {
    return String(error).slice(0, 500);
  } catch {
    return "a value that can't be converted to a string";
  }
};

export class Host {
  readonly capabilities: Capabilities;
  readonly defaults: ResolvedOptions;
  readonly clock: Clock;
  readonly octets: Octets;
  readonly onError: OnError;
  readonly group: SessionGroup;
  readonly refusals: Refusals;
  private readonly toldOf = new Set<string>();
  private readonly toldOfOffers = new WeakSet<object>();
  /** What the application's functions have thrown, and was reported. */
  private readonly thrown = new Set<string>();
  private lastContext: SessionContext | undefined;

  /** `diagnostics`: where the host has channels to publish on. */
  constructor(
    capabilities: Capabilities,
    octets: Octets,
    diagnostics: Diagnostics | undefined,
    { defaults, onError, clock = systemClock }: HostOptions = {},
  ) {
    this.capabilities = capabilities;
    this.octets = octets;
    this.onError = reporter(onError, diagnostics?.error);
    this.refusals = new Refusals(diagnostics);
    this.clock = clock;
    this.group = new SessionGroup(clock);
    this.defaults = this.resolve(defaults, resolveOptions(undefined));
  }

  /** Lays the options of a call over the server's defaults, and says once which of them nobody honours here. */
  resolve(options: WebSockOptions | undefined, defaults = this.defaults): ResolvedOptions {
    const resolved = resolveOptions(options, defaults);
    if (options === undefined) return resolved;
    const { host, ignores } = this.capabilities;
    for (const name of ignores) if (isGiven(options, name)) this.tell(`the option "${name}" has no effect on ${host}`);
    return resolved;
  }

  /** Reports what the application asks for and nobody does here: once, however often it asks. */
  tell(what: string): void {
    if (this.toldOf.has(what)) return;
    this.toldOf.add(what);
    this.onError(new TypeError(what), undefined);
  }

  /** The same, of a subprotocol that a client offers and nobody agrees on: once for each handler, whoever offers what. */
  tellOfOffer(offered: readonly string[], callbacks: Callbacks, path: string): void {
    if (this.toldOfOffers.has(callbacks)) return;
    this.toldOfOffers.add(callbacks);
    this.onError(unansweredOffer(offered, callbacks.name, path), undefined);
  }

  /**
   * Calls one of the application's functions about a request. If it throws, the error is reported and the request is to be
   * refused: with 400 where `only` threw, which mostly parses what the client sent, else with 500. An UpgradeError that it
   * throws is its own answer.
   */
  ask<T>(name: "only" | "origins" | "subprotocols", request: Asked, call: () => T): T | UpgradeError {
    try {
      return call();
    } catch (error) {
      if (error instanceof UpgradeError) return error;
      this.tellOfThrown(name, error, request);
      return name === "only"
        ? new UpgradeError(400, "this request could not be understood")
        : new UpgradeError(500, "the server failed to decide whether to accept this request");
    }
  }

  /** Once for each message, and for so many of them: the client may choose what is in the message. */
  private tellOfThrown(name: string, error: unknown, { method, url }: Asked): void {
    const key = `${name}: ${messageOf(error)}`;
    if (this.thrown.has(key) || this.thrown.size >= MAX_TOLD) return;
    this.thrown.add(key);
    const request = JSON.stringify(`${method} ${url}`.slice(0, 200));
    const text = `the function "${name}" threw for the request ${request}, which was refused: ${messageOf(error)}`;
    this.onError(new Error(text, { cause: error }), undefined);
  }

  /** A session that is not started yet: its transport may have to know it first. */
  newSession(
    callbacks: Callbacks,
    transport: Transport,
    facts: ConnectionFacts,
    options: ResolvedOptions,
    asyncContext: AsyncContext | undefined,
  ): Session {
    // Shared by the sessions that share their options, so that none has to keep one.
    if (this.lastContext?.options !== options) {
      const { clock, octets, onError, group } = this;
      this.lastContext = { options, clock, octets, onError, onIdentified: group.identify, onEnd: group.delete };
    }
    const session = new Session(callbacks, transport, facts, this.lastContext!, asyncContext);
    this.group.add(session);
    return session;
  }

  /** What an application gets to control its connections with. */
  get attachment(): Attachment {
    const { group, refusals } = this;
    return {
      get connections() {
        return group.size;
      },
      [Symbol.iterator]: () => group.selves(),
      get: (id) => group.get(id),
      get refused() {
        return refusals.count;
      },
      close: () => group.close(),
      drain: (options) => group.drain(options),
    };
  }
}

/** Browsers and most clients fail the connection then, and the server sees no more than a lost one. */
const unansweredOffer = (offered: readonly string[], handler: string | undefined, path: string): TypeError => {
  const names = offered.slice(0, 5).map(show).join(", ");
  return new TypeError(
    `a client offered the subprotocols ${names}, but the route ${path}${handler === undefined ? "" : ` (${handler})`} ` +
      "selected none: browsers and most other clients then fail the connection (ConnectionLost). " +
      `List those that the route supports in the option "subprotocols", for example [${names}]`,
  );
};

const isGiven = (options: WebSockOptions, name: Capabilities["ignores"][number]): boolean => {
  const value = name
    .split(".")
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], options);
  // A host that always validates honours everything but `false`.
  return name === "validateUtf8" ? value === false : value !== undefined && value !== false;
};
