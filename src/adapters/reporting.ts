/** Where errors go: to the application's `onError`, whose own failures must not hurt the connection. */
import type { OnError } from "../session/report.ts";

const print: OnError = (error, context) => {
  console.error(`websock-js: ${context?.callback ?? "host"}:`, error);
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
