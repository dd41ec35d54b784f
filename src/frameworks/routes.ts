/**
 * What frameworks hand to their routes: where the request that an adapter has marked is in it, who writes the response,
 * and what the route should return. The one place that knows frameworks; everything is looked at by its shape.
 */
import type { UpgradeError } from "../errors.ts";
import { type FastifyReply, trackReply } from "./fastify.ts";

/** A call of `upgrade`, as the framework around it wants it answered. */
export interface Route {
  /** The request that the adapter has marked. */
  readonly request: object;
  /** The framework writes a response when the route is done, and that one becomes the answer. Else nobody does. */
  readonly deferred: boolean;
  /** The framework is Fastify, which does not send for every route. */
  readonly isFastify: boolean;
  /** What the route should return, once the upgrade is decided. */
  result(): unknown;
  /** The route has thrown after all, whatever status the framework gives that. */
  failed(): boolean;
  /** The error as the framework makes the right response of it. */
  refused(error: UpgradeError): UpgradeError;
}

/**
 * Whether a value is a `Request` of the fetch standard. Not by `instanceof`: Node would load its implementation of fetch for
 * that, which keeps the AsyncLocalStorage stores of whichever request came first.
 */
export const isFetchRequest = (value: unknown): value is Request => {
  if (typeof value !== "object" || value === null) return false;
  const { url, headers, arrayBuffer } = value as Partial<Request>;
  return typeof url === "string" && typeof headers?.get === "function" && typeof arrayBuffer === "function";
};

// biome-ignore lint/suspicious/noExplicitAny: whatever a framework has there
type Conn = any;

interface Shape {
  /** Where the request is. */
  readonly path: readonly string[];
  readonly when?: (conn: Conn) => boolean;
  readonly deferred: (conn: Conn) => boolean;
  readonly result: (conn: Conn) => unknown;
  readonly failed?: (conn: Conn) => boolean;
  readonly refused?: (error: UpgradeError) => UpgradeError;
  readonly isFastify?: true;
  /** Called when the request was found. */
  readonly found?: (request: object, conn: Conn) => void;
}

const always = (): boolean => true;
const never = (): boolean => false;
const itself = (conn: Conn): unknown => conn;
const nothing = (): undefined => undefined;
const emptyResponse = (): Response => new Response(null);
const honoResponse = (context: Conn): unknown => context.body(null, 200);
const honoFailed = (context: Conn): boolean => context.error !== undefined;
/** Koa, unless it is told to keep out. */
const isKoa = (conn: Conn): boolean => "app" in conn && "response" in conn && conn.respond !== false;

/** h3 prints whatever is not its own kind of error, and expects headers that can be iterated. */
const forH3 = (error: UpgradeError): UpgradeError =>
  Object.defineProperties(error, {
    name: { value: "HTTPError" },
    headers: { value: iterable(error.headers) },
    toJSON: { value: () => ({ status: error.status, message: error.message }) },
  });

const iterable = (headers: UpgradeError["headers"]): UpgradeError["headers"] =>
  Object.defineProperty({ ...headers }, Symbol.iterator, { value: () => Object.entries(headers).values() });

const SHAPES: readonly Shape[] = [
  // The request itself: node:http, node:http2, Express, and of every fetch handler.
  { path: [], deferred: never, result: (conn) => (isFetchRequest(conn) ? emptyResponse() : conn) },
  // Fastify's request, and its reply.
  { path: ["raw"], deferred: always, result: nothing, isFastify: true },
  {
    path: ["request", "raw"],
    deferred: always,
    result: nothing,
    isFastify: true,
    found: (request, reply: FastifyReply) => void trackReply(request, reply),
  },
  // Hono's context: only what it makes itself keeps the headers that were set on it.
  { path: ["env", "incoming"], deferred: always, result: honoResponse, failed: honoFailed },
  { path: ["req", "raw"], deferred: always, result: honoResponse, failed: honoFailed },
  // h3's event, and the request of srvx that is in it; on other hosts the request is the adapter's own.
  { path: ["req", "runtime", "node", "req"], deferred: always, result: emptyResponse, refused: forH3 },
  { path: ["runtime", "node", "req"], deferred: always, result: emptyResponse },
  {
    path: ["req"],
    when: (event) => isFetchRequest(event.req),
    deferred: always,
    result: emptyResponse,
    refused: forH3,
  },
  // Elysia's context.
  { path: ["request"], when: ({ request }) => isFetchRequest(request), deferred: always, result: emptyResponse },
  // Koa's context and request; a response of Node's, or a pair with one.
  { path: ["req"], deferred: isKoa, result: itself },
];

/** Finds the request that `isMarked` in what was given to `upgrade`. */
export const routeOf = (conn: unknown, isMarked: (value: object) => boolean): Route | undefined => {
  for (const shape of SHAPES) {
    const { path, when = always, deferred, result, failed = never, refused = itself } = shape;
    const request = path.reduce<Conn>((value, name) => value?.[name], conn);
    if (typeof request !== "object" || request === null || !isMarked(request) || !when(conn)) continue;
    shape.found?.(request, conn);
    return {
      request,
      deferred: deferred(conn),
      isFastify: shape.isFastify ?? false,
      result: () => result(conn),
      failed: () => failed(conn),
      refused: refused as Route["refused"],
    };
  }
  return undefined;
};
