/** The library's diagnostics channels, on hosts that have `node:diagnostics_channel`. */
import type { UpgradeError } from "../../errors.ts";
import type { DrainEvent } from "../../session/group.ts";
import type { SessionObserver } from "../../session/observed/observer.ts";
import type { OnError } from "../../session/report.ts";
import type { ChannelOf } from "./channel.ts";
import { observerOf } from "./observer.ts";

/** The message of the channel `websock-js:refused`. */
export interface RefusedEvent {
  /** Why the request was refused. The client receives its `message`. */
  readonly error: UpgradeError;
  /** The HTTP status of the answer. */
  readonly status: number;
  /** Why the request was refused, in words: the `message` of the error. */
  readonly cause: string;
  /** The method of the request: `GET`, `CONNECT` on HTTP/2. */
  readonly method: string;
  /** The path of the request, without its query. */
  readonly path: string;
  /** The handler's name, if it has one and the request reached an `upgrade` call. */
  readonly handler: string | undefined;
}

/** Publishes to the library's channels. */
export interface Diagnostics {
  readonly error: OnError;
  refused(event: () => RefusedEvent): void;
  drain(event: DrainEvent & { readonly host: string }): void;
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
