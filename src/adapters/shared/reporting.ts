/** Where errors go: to the application's `onError`, whose own failures must not hurt the connection. */
import type { ErrorContext, OnError } from "../../session/report.ts";

/** `handleIn of Chat at /chat/lobby, connection 1b4e28ba-…`: what is needed to find it in the code and in other logs. */
const placeOf = (context: ErrorContext | undefined): string => {
  if (context === undefined) return "host";
  const { callback = "session", handler, path, id } = context;
  return `${callback}${handler === undefined ? "" : ` of ${handler}`} at ${path}, connection ${id}`;
};

const print: OnError = (error, context) => {
  console.error(`websock-js: ${placeOf(context)}:`, error);
};

/** Makes `onError` safe to call. `publish` is told first, where the host has a place for diagnostics. */
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
