/** Reports errors to the application's `onError`. Errors in `onError` itself must not affect connections. */
import type { ErrorContext, OnError } from "../../session/report.ts";

/**
 * For example `handleIn of Chat at /chat/lobby, connection 1b4e28ba-…`, to find the error in the code and in other
 * logs.
 */
const placeOf = (context: ErrorContext | undefined): string => {
  if (context === undefined) return "host";
  const { callback = "session", handler, path, id } = context;
  return `${callback}${handler === undefined ? "" : ` of ${handler}`} at ${path}, connection ${id}`;
};

const print: OnError = (error, context) => {
  console.error(`websock-js: ${placeOf(context)}:`, error);
};

/** Wraps `onError` so that it never throws. `publish` is called first. */
export const reporter =
  (onError: OnError = print, publish?: OnError): OnError =>
  (error, context) => {
    try {
      publish?.(error, context);
      const result: unknown = onError(error, context);
      if (result instanceof Promise) result.catch((failure) => print(failure, context));
    } catch (failure) {
      print(failure, context);
    }
  };
