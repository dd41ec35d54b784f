/** The values that frameworks pass to their routes: where the marked request is in them, and how to answer. */
import type { UpgradeError } from "../errors.ts";
import { answerFromFastify, type FastifyReply, trackReply } from "./fastify.ts";
import { asH3Error } from "./h3.ts";
import { emptyResponseOf, hasFailed } from "./hono.ts";
import type { Route } from "./route.ts";

/**
 * Whether a value is a `Request` of the Fetch standard. `instanceof` would make Node load its implementation of fetch,
 * which retains the AsyncLocalStorage stores of the request that is handled at that moment.
 */
export const isFetchRequest = (value: unknown): value is Request => {
  if (typeof value !== "object" || value === null) return false;
  const { url, headers, arrayBuffer } = value as Partial<Request>;
  return typeof url === "string" && typeof headers?.get === "function" && typeof arrayBuffer === "function";
};

// biome-ignore lint/suspicious/noExplicitAny: a framework's object, recognized by its shape
type Conn = any;

/** How to recognize one kind of `conn`, and what its {@link Route} is. */
interface Shape {
  /** The properties that lead from `conn` to the request. */
  readonly path: readonly string[];
  readonly when?: (conn: Conn) => boolean;
  readonly deferred: (conn: Conn) => boolean;
  readonly alwaysResponds?: false;
  readonly result: (conn: Conn) => unknown;
  readonly failed?: (conn: Conn) => boolean;
  readonly refused?: (error: UpgradeError) => UpgradeError;
  /** Called when the shape matches. */
  readonly matched?: (request: object, conn: Conn) => void;
  readonly decided?: (request: object, answer: () => void) => string | undefined;
}

const always = (): boolean => true;
const never = (): boolean => false;
const itself = (conn: Conn): unknown => conn;
const nothing = (): undefined => undefined;
const emptyResponse = (): Response => new Response(null);
/** Whether it is a context of Koa that has not set `respond` to `false`. */
const isKoa = (conn: Conn): boolean => "app" in conn && "response" in conn && conn.respond !== false;

const FASTIFY = { deferred: always, alwaysResponds: false, result: nothing, decided: answerFromFastify } as const;
const HONO = { deferred: always, result: emptyResponseOf, failed: hasFailed } as const;
const H3 = { deferred: always, result: emptyResponse, refused: asH3Error } as const;

/**
 * The first shape whose request is marked applies, so more specific shapes come first. On Deno every `Request` counts
 * as marked, including those that srvx creates on `node:http`: there, an h3 event also has the shape of an event on
 * other hosts. Any object with a `req` also has the last shape.
 */
const SHAPES: readonly Shape[] = [
  // The request itself: node:http, node:http2, Express, and every fetch handler.
  { path: [], deferred: never, result: (conn) => (isFetchRequest(conn) ? emptyResponse() : conn) },
  // Fastify: its request, and its reply.
  { path: ["raw"], ...FASTIFY },
  { path: ["request", "raw"], ...FASTIFY, matched: (request, reply: FastifyReply) => void trackReply(request, reply) },
  // Hono: its context, on Node and elsewhere.
  { path: ["env", "incoming"], ...HONO },
  { path: ["req", "raw"], ...HONO },
  // h3: its event, on Node through the request of srvx.
  { path: ["req", "runtime", "node", "req"], ...H3 },
  // srvx on Node: its request.
  { path: ["runtime", "node", "req"], deferred: always, result: emptyResponse },
  // h3: its event on other hosts, where the adapter marks the request of the Fetch standard.
  { path: ["req"], when: (event) => isFetchRequest(event.req), ...H3 },
  // Elysia: its context.
  { path: ["request"], when: ({ request }) => isFetchRequest(request), deferred: always, result: emptyResponse },
  // Koa: its context and its request. Also a response of Node, or an object with a request and a response.
  { path: ["req"], deferred: isKoa, result: itself },
];

/** Finds the request that `isMarked` in the value that was passed to `upgrade`. */
export const routeOf = (conn: unknown, isMarked: (value: object) => boolean): Route | undefined => {
  for (const shape of SHAPES) {
    let request: Conn = conn;
    for (const name of shape.path) request = request?.[name];
    if (typeof request !== "object" || request === null || !isMarked(request)) continue;
    if (shape.when !== undefined && !shape.when(conn)) continue;
    shape.matched?.(request, conn);
    return new ShapedRoute(shape, conn, request);
  }
  return undefined;
};

class ShapedRoute implements Route {
  readonly request: object;
  readonly deferred: boolean;
  private readonly shape: Shape;
  private readonly conn: Conn;

  constructor(shape: Shape, conn: Conn, request: object) {
    this.request = request;
    this.deferred = shape.deferred(conn);
    this.shape = shape;
    this.conn = conn;
  }

  get alwaysResponds(): boolean {
    return this.shape.alwaysResponds ?? true;
  }

  result(): unknown {
    return this.shape.result(this.conn);
  }

  failed(): boolean {
    return this.shape.failed?.(this.conn) ?? false;
  }

  refused(error: UpgradeError): UpgradeError {
    return this.shape.refused?.(error) ?? error;
  }

  decided(answer: () => void): string | undefined {
    return this.shape.decided?.(this.request, answer);
  }
}
