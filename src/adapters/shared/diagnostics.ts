/** The library's diagnostics channels, on hosts that have `node:diagnostics_channel`. */
import type { DrainEvent, RefusedEvent } from "../../diagnostics.ts";
import type { SessionObserver } from "../../session/observed/observer.ts";
import type { OnError } from "../../session/report.ts";
import type { ChannelOf } from "./channel.ts";
import { observerOf } from "./observer.ts";

/** Publishes to the library's channels. */
export interface Diagnostics {
  readonly error: OnError;
  refused(event: () => RefusedEvent): void;
  drain(event: DrainEvent): void;
  /** Observes connections that are opened now. `undefined`: nobody has subscribed to their events. */
  readonly observer: SessionObserver | undefined;
}

/** @param channel the function of `node:diagnostics_channel` */
export const diagnosticsOf = (channel: ChannelOf): Diagnostics => {
  const errors = channel("websock-js:error");
  const refusals = channel("websock-js:refused");
  const drains = channel("websock-js:drain");
  const observer = observerOf(channel);
  return {
    error: (error, context) => {
      if (errors.hasSubscribers) errors.publish({ error, ...context });
    },
    refused: (event) => {
      if (refusals.hasSubscribers) refusals.publish(event());
    },
    drain: (event) => {
      if (drains.hasSubscribers) drains.publish(event);
    },
    get observer() {
      return observer();
    },
  };
};
