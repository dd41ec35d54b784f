/** The type of the value that a route returns after an upgrade, by framework. */

/** What a route returns: a `Response` where routes return one, `undefined` where a value would be sent. */
export type UpgradeResult<Conn> = Conn extends
  | Request // fetch-style, srvx
  | { readonly req: Request } // h3
  | { readonly req: { readonly raw: Request } } // Hono
  | { readonly request: Request } // Elysia
  ? Response
  : Conn extends { readonly raw: object } | { readonly request: { readonly raw: object } } // Fastify
    ? undefined
    : void;
