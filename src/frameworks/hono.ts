/** Hono: the properties of its context, and its response. */

// biome-ignore lint/suspicious/noExplicitAny: a framework's object, recognized by its shape
type Context = any;

/** Only a response that the context creates gets the headers that were set on it before. */
export const emptyResponseOf = (context: Context): unknown => context.body(null, 200);

/** Whether a route or middleware threw: Hono keeps the error on the context. */
export const hasFailed = (context: Context): boolean => context.error !== undefined;

/** The second argument of the server's fetch handler (`Deno.serve`, `Bun.serve`), which Hono keeps as `env`. */
export const serveInfoOf = <Info>(context: object): Info | undefined => (context as { readonly env?: Info }).env;
