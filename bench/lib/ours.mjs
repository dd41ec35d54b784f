/** Imports our package into a server script: the build of this checkout, or the one that `--dist=<folder>` names. */
import { pathToFileURL } from "node:url";
import { argument } from "./serve.mjs";

const dist = argument("dist");

/**
 * @param {"node" | "ws" | "bun" | "deno"} adapter
 * @param {{ pubsub?: boolean, channels?: boolean, backplane?: "redis" | "nats" }} [options] `pubsub`, `channels`: with
 *   `websock-js/pubsub` and `websock-js/channels`, which older builds do not have; `backplane`: with a backplane
 * @returns {Promise<any>} what the package and the adapter export
 */
export const ours = async (adapter, { pubsub = false, channels = false, backplane } = {}) => {
  const load = (/** @type {string} */ file, /** @type {string} */ name) =>
    import(dist === undefined ? name : pathToFileURL(`${dist}/${file}`).href);
  const modules = await Promise.all([
    load("index.js", "websock-js"),
    load(`adapters/${adapter}.js`, `websock-js/${adapter}`),
    ...(pubsub ? [load("pubsub/index.js", "websock-js/pubsub")] : []),
    ...(backplane ? [load(`pubsub/backplanes/${backplane}.js`, `websock-js/pubsub/${backplane}`)] : []),
  ]);
  // Its `push`, `reply` and `stop` have the names of other functions.
  const phoenix = channels ? await load("channels/index.js", "websock-js/channels") : undefined;
  return Object.assign({}, ...modules, { phoenix });
};
