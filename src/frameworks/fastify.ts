/**
 * Fastify (4 and 5) sends what a route returns. Where a route returns nothing, or the reply, Fastify waits for
 * `reply.send()`: then the call is ours, and it has to be made on the reply, because the reply has the headers that hooks have
 * set. A route that was given the request can't reach the reply. So we add two hooks to each instance when it is created:
 * Fastify publishes that on a plain diagnostics channel, on every runtime and in both versions.
 *
 * Fastify's tracing channels do not do: version 4 has none, and on Bun `tracingChannel().hasSubscribers` is `undefined`, so
 * that version 5 does not publish there.
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

/** One upgrade request in Fastify: who sends the response, and when. */
class TrackedReply {
  readonly reply: FastifyReply;
  /** Where the request is, if we follow its instance. */
  private stage: "hook" | "route" | undefined = undefined;
  /** Its route has returned, and no promise. */
  private hasReturned = false;
  /** Somebody waits for the reply, and it settles only when the response has ended. */
  private isAwaited = false;
  private isSent = false;
  /** Answers without Fastify. It is there as soon as the upgrade is decided. */
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

  /** The request goes through hooks, or its route is called. */
  entered(stage: "hook" | "route"): void {
    this.stage = stage;
  }

  /** Calls the route. */
  call(route: () => unknown): unknown {
    this.entered("route");
    const result = route();
    if (result === undefined) this.returned();
    // Only of a promise: whatever else has a `then`, such as a query, may do its work once for each call of it.
    else if (result instanceof Promise) result.then(this.settled, this.settled);
    return result;
  }

  /** @returns whether it will be seen that nobody else sends */
  decided(answer: () => void): boolean {
    this.answer = answer;
    if (this.reply.sent) this.finish();
    // Not in a hook: those behind it may still refuse the request. One that neither goes on nor sends leaves it open.
    else if (this.stage !== "hook") this.settle();
    return this.isSent || this.isAwaited || this.stage === "route";
  }

  /** The route has returned nothing. */
  returned(): void {
    this.hasReturned = true;
    this.settle();
  }

  /** The promise of the route has settled. If the application has taken the response over, Fastify does not send. */
  private readonly settled = (): void => {
    if (this.reply.sent) this.finish();
  };

  private settle(): void {
    if (this.answer === undefined || !(this.hasReturned || this.isAwaited)) return;
    // Whoever has called `upgrade` in a callback may set headers behind it.
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
      // As Fastify does with what it sends for a promise.
      reply.send(error);
    }
  }
}

const trackedReplies = new WeakMap<object, TrackedReply>();

const isUpgrade = (raw: object): boolean => markOf(raw)?.isUpgradeRequest === true;

/** The reply that belongs to a request is known. Only upgrades are followed. */
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
  "an upgrade in a route of Fastify's was not answered. Either the Fastify instance was created before websock-js was " +
  'loaded, so that a route that returns no promise is not seen to end: import "websock-js" before you call ' +
  "fastify(), or end the route with `upgrade(reply, …); return reply`. Or a hook called upgrade, and neither went on " +
  "nor sent the reply";

/**
 * Called when the upgrade of a request in Fastify is decided. `answer` writes the answer if the application keeps Fastify out
 * of the response (`reply.hijack()`).
 *
 * @returns a warning to report if no response follows, where the end of a route that returns nothing would go unnoticed: the
 * instance was created before this module was loaded
 */
export const answerFromFastify = (raw: object, answer: () => void): string | undefined =>
  trackedReplies.get(raw)?.decided(answer) ? undefined : UNANSWERED;

/** The servers of all instances that we have seen. */
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
  // It is no route. Instances of plugins inherit the method.
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

/** Begins to follow every instance that is created from now on. */
export const watchFastify = ({ subscribe }: DiagnosticsChannel): void => {
  if (isSubscribed) return;
  isSubscribed = true;
  subscribe("fastify.initialization", (message) => track((message as { fastify: Instance }).fastify));
};

// An app is often created before an adapter is loaded, but seldom before `upgrade` is. (Node 20.16, Bun 1.1, Deno 2.1.)
const { process } = globalThis as {
  process?: { getBuiltinModule?: (id: string) => unknown };
};
const diagnostics = process?.getBuiltinModule?.("node:diagnostics_channel") as DiagnosticsChannel | undefined;
if (diagnostics !== undefined) watchFastify(diagnostics);
