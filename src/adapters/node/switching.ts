/** The head and the end of a 101 response (RFC 9110 §15.2.2), with workarounds for `node:http` of Bun and Deno. */

import type { ServerResponse } from "node:http";
import type { ResponseGate } from "./response.ts";
import { isBun } from "./runtime.ts";
import { nextTick } from "./timers.ts";

/** Writes the head through the server's response, so that hooks on its headers are called. */
export const writeSwitchingHead = (
  response: ServerResponse,
  gate: ResponseGate,
  headers: Readonly<Record<string, string>>,
): void => {
  // Otherwise Deno 2.9 adds `Transfer-Encoding: chunked` to a 101, which RFC 9112 §6.1 forbids.
  response.useChunkedEncodingByDefault = false;
  gate.writeOriginalHead(101, "Switching Protocols", headers);
  response.flushHeaders();
};

/** Ends the response without closing the connection. */
export const endSwitchingResponse = (
  response: ServerResponse,
  gate: ResponseGate,
  callback: (() => void) | undefined,
): void => {
  if (!isBun) {
    gate.endOriginal(callback);
    return;
  }
  // Bun 1.4 closes the connection when a response to `Connection: close, Upgrade` ends, which some proxies send. The
  // effects of `end` are reproduced here, except for that.
  response.finished = true;
  Object.defineProperty(response, "writableFinished", { value: true, configurable: true });
  if (callback !== undefined) response.once("finish", callback);
  nextTick(() => response.emit("finish"));
};
