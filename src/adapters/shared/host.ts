/** The base class of all hosts: options, sessions, and error reports of the connections of one server. */

import type { Capabilities } from "../../capabilities.ts";
import { codedError, codedTypeError } from "../../error-codes.ts";
import { UpgradeError } from "../../errors.ts";
import { checkKeys, show } from "../../known-keys.ts";
import { isOptionName, type ResolvedOptions, resolveOptions, type WebSockOptions } from "../../options.ts";
import type { ByteOps } from "../../protocol/byte-ops.ts";
import type { AsyncContext } from "../../session/async-context.ts";
import type { Clock } from "../../session/clock.ts";
import { SessionGroup } from "../../session/group.ts";
import type { Callbacks } from "../../session/handler.ts";
import { observedSession } from "../../session/observed/observed-session.ts";
import type { OnError } from "../../session/report.ts";
import type { ConnectionFacts, TopicHome } from "../../session/self.ts";
import { Session, type SessionEnvironment } from "../../session/session.ts";
import type { Transport } from "../../transport.ts";
import type { Attachment, HostOptions } from "./attachment.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { Refusals } from "./refusals.ts";
import { reporter } from "./reporting.ts";
import { systemClock } from "./system-clock.ts";

/** @throws TypeError for an unknown option of `attach` */
export const checkHostOptions = (options: HostOptions, ...more: readonly string[]): void => {
  const names = [...more, "defaults", "onError", "clock"];
  if (typeof options !== "object" || options === null) {
    throw codedTypeError("WEBSOCK_INVALID_OPTION", `the options of attach() must be an object, not ${show(options)}`);
  }
  const ofUpgrade = Object.keys(options).find((name) => isOptionName(name) && !names.includes(name));
  if (ofUpgrade !== undefined) {
    throw codedTypeError(
      "WEBSOCK_INVALID_OPTION",
      `"${ofUpgrade}" is an option of upgrade(); pass it to attach() as { defaults: { ${ofUpgrade}: … } }`,
    );
  }
  checkKeys(options, names);
};

/** The request for which a function of the application is called. */
type RequestLine = { readonly method?: string | undefined; readonly url?: string | undefined };

/** The maximum number of different errors that are reported for the application's functions. */
const MAX_REPORTED = 32;

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
  readonly byteOps: ByteOps;
  readonly onError: OnError;
  readonly group: SessionGroup;
  readonly refusals: Refusals;
  private readonly diagnostics: Diagnostics | undefined;
  /** See {@link SessionEnvironment.home}. */
  protected readonly home: TopicHome | undefined = undefined;
  private readonly warned = new Set<string>();
  private readonly warnedHandlers = new WeakSet<object>();
  /** Errors of the application's functions that were reported. */
  private readonly reportedErrors = new Set<string>();
  private lastEnvironment: SessionEnvironment | undefined;

  /** @param diagnostics `undefined` on hosts without diagnostics channels */
  constructor(
    capabilities: Capabilities,
    byteOps: ByteOps,
    diagnostics: Diagnostics | undefined,
    { defaults, onError, clock = systemClock }: HostOptions = {},
  ) {
    this.capabilities = capabilities;
    this.byteOps = byteOps;
    this.onError = reporter(onError, diagnostics?.error);
    this.refusals = new Refusals(diagnostics);
    this.clock = clock;
    this.diagnostics = diagnostics;
    this.group = new SessionGroup(clock, (event) => diagnostics?.drain({ host: capabilities.host, ...event }));
    this.defaults = this.resolve(defaults, resolveOptions(undefined));
  }

  /** Merges the options of a call with the server's defaults, and warns once about each option without effect. */
  resolve(options: WebSockOptions | undefined, defaults = this.defaults): ResolvedOptions {
    const resolved = resolveOptions(options, defaults);
    if (options === undefined) return resolved;
    const { host, ignores } = this.capabilities;
    for (const name of ignores)
      if (isGiven(options, name)) this.warnOnce(`the option "${name}" has no effect on ${host}`);
    return resolved;
  }

  /** Reports a warning, unless it was reported before. */
  warnOnce(what: string): void {
    if (this.warned.has(what)) return;
    this.warned.add(what);
    this.onError(codedTypeError("WEBSOCK_NOT_SUPPORTED", what), undefined);
  }

  /** Warns that no subprotocol was selected from a client's offer, once for each handler. */
  warnOfUnansweredOffer(offered: readonly string[], callbacks: Callbacks, path: string): void {
    if (this.warnedHandlers.has(callbacks)) return;
    this.warnedHandlers.add(callbacks);
    this.onError(unansweredOffer(offered, callbacks.name, path), undefined);
  }

  /**
   * Calls a function of the application for a request. Returns its result or, if it throws, the `UpgradeError` to
   * refuse the request with: the thrown error itself, if it is one. Any other error is reported, and the request is
   * refused with 400 if `only` threw (usually because of what the client sent), and with 500 otherwise.
   */
  callUserFunction<T>(
    name: "only" | "origins" | "subprotocols",
    request: RequestLine,
    call: () => T,
  ): T | UpgradeError {
    try {
      return call();
    } catch (error) {
      if (error instanceof UpgradeError) return error;
      this.reportThrown(name, error, request);
      return name === "only"
        ? new UpgradeError(400, "this request could not be understood")
        : new UpgradeError(500, "the server failed to decide whether to accept this request");
    }
  }

  /** Reports each error message once, and a limited number of them: messages may contain data from clients. */
  private reportThrown(name: string, error: unknown, { method, url }: RequestLine): void {
    const key = `${name}: ${messageOf(error)}`;
    if (this.reportedErrors.has(key) || this.reportedErrors.size >= MAX_REPORTED) return;
    this.reportedErrors.add(key);
    const request = JSON.stringify(`${method} ${url}`.slice(0, 200));
    const text = `the function "${name}" threw for the request ${request}, which was refused: ${messageOf(error)}`;
    this.onError(codedError("WEBSOCK_DECISION_FAILED", text, { cause: error }), undefined);
  }

  /**
   * Creates a session, which the caller starts. It is observed if anybody has subscribed to events of connections.
   *
   * @param resumed the caller does not start it, but resumes it after hibernation
   */
  newSession(
    callbacks: Callbacks,
    transport: Transport,
    facts: ConnectionFacts,
    options: ResolvedOptions,
    asyncContext: AsyncContext | undefined,
    resumed = false,
  ): Session {
    const environment = this.environmentFor(options);
    const observer = this.diagnostics?.observer;
    const session =
      observer === undefined
        ? new Session(callbacks, transport, facts, environment, asyncContext)
        : observedSession(observer, { callbacks, transport, facts, environment, asyncContext }, resumed);
    this.group.add(session);
    return session;
  }

  /** The environment of a new session. Consecutive sessions with the same options share one, to save memory. */
  protected environmentFor(options: ResolvedOptions): SessionEnvironment {
    if (this.lastEnvironment?.options !== options) {
      const { capabilities, clock, byteOps, onError, group, home } = this;
      this.lastEnvironment = {
        capabilities,
        options,
        clock,
        byteOps,
        onError,
        onIdentified: group.identify,
        onEnd: group.delete,
        ...(home && { home }),
      };
    }
    return this.lastEnvironment!;
  }

  /** What `attach` returns to the application. */
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

/**
 * The warning about an offer from which no subprotocol was selected. Browsers and most other clients then fail the
 * connection, and the server sees only that it is lost.
 */
const unansweredOffer = (offered: readonly string[], handler: string | undefined, path: string): TypeError => {
  const names = offered.slice(0, 5).map(show).join(", ");
  return codedTypeError(
    "WEBSOCK_NO_SUBPROTOCOL",
    `a client offered the subprotocols ${names}, but the route ${path}${handler === undefined ? "" : ` (${handler})`} ` +
      "selected none: browsers and most other clients then fail the connection (ConnectionLost). " +
      `List those that the route supports in the option "subprotocols", for example [${names}]`,
  );
};

const isGiven = (options: WebSockOptions, name: Capabilities["ignores"][number]): boolean => {
  const value = name
    .split(".")
    .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], options);
  // On a host that always validates UTF-8, only the value `false` has no effect.
  return name === "validateUtf8" ? value === false : value !== undefined && value !== false;
};
