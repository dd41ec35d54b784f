/** The diagnostics channel `websock-js:error` of `node:diagnostics_channel`: what is reported, as `{ error, ...context }`. */
import { channel } from "node:diagnostics_channel";
import type { OnError } from "../session/report.ts";

const errors = channel("websock-js:error");

export const publishError: OnError = (error, context) => {
  if (errors.hasSubscribers) errors.publish({ error, ...context });
};
