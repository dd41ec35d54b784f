/** Express: what its requests hold besides those of Node. */

/** A request of Node, which Express may have extended. */
interface ExpressRequest {
  readonly url?: string | undefined;
  readonly originalUrl?: string;
  readonly app?: unknown;
  readonly next?: (error: unknown) => void;
}

/** The function that passes an error to the error handlers of Express; `undefined` if Express does not have the request. */
export const errorHandlerOf = ({ app, next }: ExpressRequest): ((error: unknown) => void) | undefined =>
  app !== undefined && typeof next === "function" ? next : undefined;

/** The URL as the client sent it: Express removes a router's mount path from `url`. */
export const originalUrlOf = ({ originalUrl, url = "" }: ExpressRequest): string => originalUrl ?? url;
