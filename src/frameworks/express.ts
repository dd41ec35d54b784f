/** Express: the properties that it adds to requests of Node. */

/** A request of Node that may have passed through Express. */
interface ExpressRequest {
  readonly url?: string | undefined;
  readonly originalUrl?: string;
  readonly app?: unknown;
  readonly next?: (error: unknown) => void;
}

/** Passes an error to Express's error handlers; `undefined` if the request has not passed through Express. */
export const errorHandlerOf = ({ app, next }: ExpressRequest): ((error: unknown) => void) | undefined =>
  app !== undefined && typeof next === "function" ? next : undefined;

/** The URL as the client sent it: Express removes a router's mount path from `url`. */
export const originalUrlOf = ({ originalUrl, url = "" }: ExpressRequest): string => originalUrl ?? url;
