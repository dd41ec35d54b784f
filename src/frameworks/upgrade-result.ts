/** The type of the value that a route returns after an upgrade, by framework. */

/**
 * The return value of `upgrade`, which the route must return:
 *
 * - a `Response` where routes return one: fetch handlers, Hono, h3, srvx, Elysia
 * - `undefined` on Fastify, which would send any other value
 * - `void` elsewhere (`node:http`, Express, Koa): the value can be ignored
 *
 * @typeParam Conn the type of the first argument of `upgrade`
 */
export type UpgradeResult<Conn> = Conn extends
  | Request // fetch-style, srvx
  | { readonly req: Request } // h3
  | { readonly req: { readonly raw: Request } } // Hono
  | { readonly request: Request } // Elysia
  ? Response
  : Conn extends { readonly raw: object } | { readonly request: { readonly raw: object } } // Fastify
    ? undefined
    : void;
