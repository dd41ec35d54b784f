/**
 * A server with three routes: `/` echoes in the main thread; `/victim` has a worker with a small heap; `/0` has the
 * handler that `--handler` names, `direct` or `isolated`. `--burn`: how many milliseconds of CPU time it needs for each
 * message. `--workers`: how many.
 */
import http from "node:http";
import { upgrade } from "websock-js";
import { isolate } from "websock-js/isolate";
import { attach } from "websock-js/node";
import { argument, serve } from "../lib/serve.mjs";
import * as handlers from "./isolate-handlers.mjs";

const burn = Number(argument("burn") ?? 0);
/** @type {any} */
const handler =
  argument("handler") === "isolated"
    ? isolate(new URL("./isolate-handlers.mjs", import.meta.url), { workers: Number(argument("workers") ?? 1) })
    : handlers;

const victim = isolate(new URL("./isolate-handlers.mjs", import.meta.url), {
  workers: 1,
  maxHeapSize: 64,
  onWorkerError: () => {},
});

const server = http.createServer((request) => {
  if (request.url === "/victim") {
    upgrade(/** @type {any} */ (request), victim, { burn: 0 });
    return;
  }
  if (request.url === "/0") upgrade(/** @type {any} */ (request), handler, { burn });
  else upgrade(/** @type {any} */ (request), /** @type {any} */ (handlers), { burn: 0 });
});
attach(server, { onError: () => {} });
serve(server);
