/** The diagnostics channel of topics, on hosts that have `node:diagnostics_channel`. */
import type { PubSubEvent } from "./options.ts";

interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

interface Process {
  readonly getBuiltinModule?: (name: string) => { readonly channel: (name: string) => Channel } | undefined;
}

// Not imported, because a Worker without the flag `nodejs_compat` does not have this module.
const { process } = globalThis as { readonly process?: Process };
const channel = process?.getBuiltinModule?.("node:diagnostics_channel")?.channel("websock-js:pubsub");

/** @param node the node of the `PubSub` that reports the event */
export const publishEvent = (node: string, event: PubSubEvent): void => {
  if (channel?.hasSubscribers) channel.publish({ node, ...event });
};
