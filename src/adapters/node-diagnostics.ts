/** Where errors go on Node: to `onError`, and to the diagnostics channel `websock-js:error`. */
import { channel } from "node:diagnostics_channel";
import type { OnError } from "../session/report.ts";

const errors = channel("websock-js:error");

const print: OnError = (error, context) => {
  console.error(`websock-js: ${context?.callback ?? "host"}:`, error);
};

/** Publishes `{ error, ...context }` and calls `onError`, whose own failures must not hurt the connection. */
export const reporter =
  (onError: OnError = print): OnError =>
  (error, context) => {
    try {
      if (errors.hasSubscribers) errors.publish({ error, ...context });
      const result: unknown = onError(error, context);
      if (result instanceof Promise) result.catch((failure) => print(failure, context));
    } catch (failure) {
      print(failure, context);
    }
  };
