/**
 * The head and the end of a 101 response (RFC 9110 §15.2.2), through the server's own response, so that hooks on both run;
 * with what Bun's and Deno's `node:http` do differently.
 */

import type { ServerResponse } from "node:http";
import type { ResponseGate } from "./response.ts";
import { isBun } from "./runtime.ts";
import { nextTick } from "./timers.ts";

/** Writes the head. */
export const writeSwitchingHead = (
  response: ServerResponse,
  { base }: ResponseGate,
  headers: Readonly<Record<string, string>>,
): void => {
  // Deno 2.9 adds `Transfer-Encoding: chunked` to a 101 otherwise, which RFC 9112 §6.1 forbids.
  response.useChunkedEncodingByDefault = false;
  base.writeHead(101, "Switching Protocols", headers);
  response.flushHeaders();
};

/** Ends the response, and leaves the connection open. */
export const endSwitchingResponse = (
  response: ServerResponse,
  { base }: ResponseGate,
  callback: (() => void) | undefined,
): void => {
  if (!isBun) {
    base.end(callback);
    return;
  }
  // Bun 1.4 closes the connection at the end of a response to `Connection: close, Upgrade`, which some proxies send. So
  // this does what `end` does apart from that.
  response.finished = true;
  Object.defineProperty(response, "writableFinished", { value: true, configurable: true });
  if (callback !== undefined) response.once("finish", callback);
  nextTick(() => response.emit("finish"));
};
