/** Attributes of metrics and spans. Those without the prefix `websock` are of the semantic conventions. */
import type { Attributes } from "@opentelemetry/api";
import type { CloseReason } from "../websock.ts";

export const handlerAttributes = (handler: string | undefined): Attributes =>
  handler === undefined ? {} : { "websock.handler": handler };

/** `error.type` is the name of the error's class. */
const errorType = (error: unknown): string => (error instanceof Error ? error.name : typeof error);

export const errorAttributes = (error: unknown): Attributes => ({ "error.type": errorType(error) });

export const reasonAttributes = (reason: CloseReason): Attributes =>
  typeof reason === "string"
    ? { "websock.close.reason": reason }
    : { "websock.close.reason": "error", ...errorAttributes(reason.error) };
