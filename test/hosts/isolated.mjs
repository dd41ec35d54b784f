/**
 * The conformance suite's handler in the workers of `isolate`. The tests, in the main thread, drive it over a
 * BroadcastChannel, whose name is the query of this module's URL.
 */
import { BroadcastChannel } from "node:worker_threads";
import { actOn, openGate, reportOf, ScriptedHandler, setPubSub, whenTerminated } from "websock-conformance/handlers";
import { sharedPubSub } from "websock-js/isolate";

const pubsub = sharedPubSub();
setPubSub(pubsub);

/** Requests for connections that are not open yet, or are in another worker. */
const waiting = new Map();
const known = new Set();

const channel = new BroadcastChannel(new URL(import.meta.url).search);
channel.unref();
channel.onmessage = ({ data }) => {
  if (data.ask === undefined) return;
  if (known.has(data.id)) void answer(data);
  else waiting.set(data.id, [...(waiting.get(data.id) ?? []), data]);
};

const run = {
  report: ({ id }) => reportOf(id),
  terminated: ({ id }) => whenTerminated(id),
  openGate: ({ id }) => openGate(id),
  act: ({ id, action }) => actOn(id, action),
};

const answer = async (request) => {
  const result = await run[request.ask](request);
  // The main thread has done what was asked of it until now.
  await pubsub.topic("any").count();
  channel.postMessage({ number: request.number, result: structuredClone(result) });
};

export const init = (arg, self) => {
  known.add(arg.id);
  try {
    return ScriptedHandler.init(arg, self);
  } finally {
    for (const request of waiting.get(arg.id) ?? []) void answer(request);
    waiting.delete(arg.id);
  }
};

export const { handleIn, handleControl, handleInfo, terminate } = ScriptedHandler;
