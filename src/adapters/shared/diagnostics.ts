/** The library's diagnostics channels, on hosts that have `node:diagnostics_channel`. */
import type { UpgradeError } from "../../errors.ts";
import type { OnError } from "../../session/report.ts";

/** The message of the channel `websock-js:refused`. */
export interface RefusedEvent {
  /** Why the request was refused. The client receives its `message`. */
  readonly error: UpgradeError;
  /** The HTTP status of the answer. */
  readonly status: number;
  /** The method of the request: `GET`, `CONNECT` on HTTP/2. */
  readonly method: string;
  /** The path of the request, without its query. */
  readonly path: string;
  /** The handler's name, if it has one and the request reached an `upgrade` call. */
  readonly handler: string | undefined;
}

/** A channel of `node:diagnostics_channel`. Messages are only created for channels with subscribers. */
export interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

/** Publishes to the library's channels. */
export interface Diagnostics {
  readonly error: OnError;
  refused(event: () => RefusedEvent): void;
}

/** @param channel the function of `node:diagnostics_channel` */
export const diagnosticsOf = (channel: (name: string) => Channel): Diagnostics => {
  const errors = channel("websock-js:error");
  const refusals = channel("websock-js:refused");
  return {
    error: (error, context) => {
      if (errors.hasSubscribers) errors.publish({ error, ...context });
    },
    refused: (event) => {
      if (refusals.hasSubscribers) refusals.publish(event());
    },
  };
};
