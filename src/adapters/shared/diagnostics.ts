/** What the library publishes on channels of `node:diagnostics_channel`, where the host has that module. */
import type { UpgradeError } from "../../errors.ts";
import type { OnError } from "../../session/report.ts";

/** What is published on `websock-js:refused`. */
export interface RefusedEvent {
  /** Why the request was refused; its `message` is what the client reads. */
  readonly error: UpgradeError;
  /** The HTTP status of the answer. */
  readonly status: number;
  /** The method of the request: `GET`, `CONNECT` on HTTP/2. */
  readonly method: string;
  /** The path of the request, without its query. */
  readonly path: string;
  /** What the handler is called, if the request reached an `upgrade` and the handler has a name. */
  readonly handler: string | undefined;
}

/** A channel as Node has it; nothing is made for one that nobody listens to. */
export interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

/** Where a host publishes. */
export interface Diagnostics {
  readonly error: OnError;
  refused(event: () => RefusedEvent): void;
}

/** Over the function `channel` of `node:diagnostics_channel`. */
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
