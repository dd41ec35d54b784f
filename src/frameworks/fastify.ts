/**
 * Fastify 4 and 5: sends the reply of a route that upgrades.
 *
 * Fastify sends the value that a route returns. After a route that returns nothing, or the reply, it waits for
 * `reply.send()`. Then we call it: on the reply, which has the headers that hooks have set. A route may pass only the
 * request to `upgrade`, from which the reply can't be reached. So two hooks are added to each instance when it is
 * created, which Fastify publishes on a diagnostics channel, in both versions and on every runtime.
 *
 * Fastify's tracing channels are not sufficient: version 4 has none, and on Bun (1.4) `tracingChannel().hasSubscribers`
 * is `undefined`, so that version 5 does not publish there.
 */
import { markOf } from "../marks.ts";

export interface FastifyReply {
  /** The response has ended, or the application has taken it over (`reply.hijack()`). */
  readonly sent: boolean;
  send(payload?: unknown): unknown;
  then(fulfilled: () => void, rejected?: (error: unknown) => void): unknown;
}

export interface FastifyRequest {
  readonly raw: object;
}

type RouteHandler = (this: unknown, request: FastifyRequest, reply: FastifyReply) => unknown;

interface Instance {
  readonly server: object;
  setNotFoundHandler(this: unknown, ...args: unknown[]): unknown;
  addHook(name: "onRoute", hook: (route: { handler?: unknown }) => void): unknown;
  addHook(name: "onRequest", hook: (request: FastifyRequest, reply: FastifyReply, done: () => void) => void): unknown;
}

/** The reply to one upgrade request: who sends it, and when. */
class TrackedReply {
  readonly reply: FastifyReply;
  /** How far the request has got, if its instance has our hooks. */
  private stage: "hook" | "route" | undefined = undefined;
  /** The route has returned something other than a promise. */
  private hasReturned = false;
  /** Fastify or the application awaits the reply, which settles when the response has ended. */
  private isAwaited = false;
  private isSent = false;
  /** Writes the answer without Fastify. Set when the upgrade is decided. */
  private answer: (() => void) | undefined = undefined;

  constructor(reply: FastifyReply) {
    this.reply = reply;
    const { send, then } = reply;
    const own = (value: unknown): PropertyDescriptor => ({ value, writable: true, configurable: true });
    Object.defineProperties(reply, {
      send: own((...args: [unknown?]) => {
        this.isSent = true;
        return Reflect.apply(send, reply, args);
      }),
      // biome-ignore lint/suspicious/noThenProperty: Fastify's replies are thenable
      then: own((...args: Parameters<FastifyReply["then"]>) => {
        this.isAwaited = true;
        this.settle();
        return Reflect.apply(then, reply, args);
      }),
    });
  }

  /** Called when the hooks of the request start, and when its route is called. */
  entered(stage: "hook" | "route"): void {
    this.stage = stage;
  }

  /** Calls the route. */
  call(route: () => unknown): unknown {
    this.entered("route");
    const result = route();
    if (result === undefined) this.returned();
    // Only for a promise: another thenable, such as a query, may repeat its work for each call of `then`.
    else if (result instanceof Promise) result.then(this.settled, this.settled);
    return result;
  }

  /** @returns whether it will be detected that nobody else sends the reply */
  decided(answer: () => void): boolean {
    this.answer = answer;
    if (this.reply.sent) this.finish();
    // Not in a hook: later hooks may still refuse the request. If a hook neither continues nor sends, the request stays
    // open.
    else if (this.stage !== "hook") this.settle();
    return this.isSent || this.isAwaited || this.stage === "route";
  }

  /** Called when the route has returned something other than a promise. */
  returned(): void {
    this.hasReturned = true;
    this.settle();
  }

  /**
   * Called when the route's promise has settled. Fastify does not send if the application has taken over the response.
   */
  private readonly settled = (): void => {
    if (this.reply.sent) this.finish();
  };

  private settle(): void {
    if (this.answer === undefined || !(this.hasReturned || this.isAwaited)) return;
    // Deferred: a callback may set headers after calling `upgrade`.
    Promise.resolve().then(() => this.finish());
  }

  private finish(): void {
    const { answer, reply } = this;
    if (answer === undefined || this.isSent) return;
    this.isSent = true;
    if (reply.sent) {
      answer();
      return;
    }
    try {
      reply.send();
    } catch (error) {
      // Fastify does the same for a route that returns a promise.
      reply.send(error);
    }
  }
}

const trackedReplies = new WeakMap<object, TrackedReply>();

const isUpgrade = (raw: object): boolean => markOf(raw)?.isUpgradeRequest === true;

/** Associates a reply with its request. Only upgrade requests are tracked. */
export const trackReply = (raw: object, reply: FastifyReply): TrackedReply | undefined => {
  if (!isUpgrade(raw)) return undefined;
  let handling = trackedReplies.get(raw);
  if (handling?.reply !== reply) {
    handling = new TrackedReply(reply);
    trackedReplies.set(raw, handling);
  }
  return handling;
};

/** Reported where no response follows an upgrade. */
const UNANSWERED =
  "an upgrade in a Fastify route was not answered. If the Fastify instance was created before websock-js was loaded, " +
  'websock-js cannot detect the end of a route that returns no promise: import "websock-js" before calling ' +
  "fastify(), or end the route with `upgrade(reply, …); return reply`. If a hook called upgrade(), it must then " +
  "continue or send the reply";

/**
 * Called when the upgrade of a request in Fastify is decided. `answer` writes the answer if the application keeps
 * Fastify out of the response (`reply.hijack()`).
 *
 * @returns a warning to report if no response follows, where the end of a route that returns nothing would go
 * unnoticed: the instance was created before this module was loaded
 */
export const answerFromFastify = (raw: object, answer: () => void): string | undefined =>
  trackedReplies.get(raw)?.decided(answer) ? undefined : UNANSWERED;

/** The servers of all instances that have our hooks. */
const trackedServers = new WeakSet<object>();

export const isTracked = (server: object): boolean => trackedServers.has(server);

const track = (fastify: Instance): void => {
  trackedServers.add(fastify.server);
  fastify.addHook("onRequest", (request, reply, done) => {
    trackReply(request.raw, reply)?.entered("hook");
    done();
  });
  fastify.addHook("onRoute", (route) => {
    if (typeof route.handler === "function") route.handler = trackHandler(route.handler as RouteHandler);
  });
  // The not-found handler is not a route. Instances of plugins inherit this method.
  const { setNotFoundHandler } = fastify;
  fastify.setNotFoundHandler = function (...args) {
    const handlers = args.map((arg) => (typeof arg === "function" ? trackHandler(arg as RouteHandler) : arg));
    return Reflect.apply(setNotFoundHandler, this, handlers);
  };
};

const trackHandler = (handler: RouteHandler): RouteHandler => {
  const followed: RouteHandler = function (request, reply) {
    const call = (): unknown => Reflect.apply(handler, this, [request, reply]);
    const handling = trackReply(request.raw, reply);
    return handling === undefined ? call() : handling.call(call);
  };
  return Object.defineProperty(followed, "name", { value: handler.name });
};

interface DiagnosticsChannel {
  subscribe(name: string, listener: (message: unknown) => void): void;
}

let isSubscribed = false;

/** Adds hooks to every instance that is created from now on. */
export const watchFastify = ({ subscribe }: DiagnosticsChannel): void => {
  if (isSubscribed) return;
  isSubscribed = true;
  subscribe("fastify.initialization", (message) => track((message as { fastify: Instance }).fastify));
};

// At load time: apps are often created before an adapter is imported, but seldom before `upgrade` is. (Node 20.16, Bun
// 1.1, Deno 2.1.)
const { process } = globalThis as {
  process?: { getBuiltinModule?: (id: string) => unknown };
};
const diagnostics = process?.getBuiltinModule?.("node:diagnostics_channel") as DiagnosticsChannel | undefined;
if (diagnostics !== undefined) watchFastify(diagnostics);
