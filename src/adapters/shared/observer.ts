/** Publishes the events of connections to diagnostics channels. */
import { RUN_IN, type StartedCall } from "../../diagnostics.ts";
import { isPromiseLike } from "../../promise-like.ts";
import type { ObservedCall, SessionObserver } from "../../session/observed/observer.ts";
import type { Channel, ChannelOf } from "./channel.ts";
import { systemTimers } from "./timers.ts";

/** The channels of the tracing channel `websock-js:callback`, as `diagnostics_channel.tracingChannel` names them. */
const TRACING = ["start", "end", "asyncStart", "asyncEnd", "error"] as const;

/** Creates a function that returns the observer, or `undefined` if nobody has subscribed to an event of connections. */
export const observerOf = (channel: ChannelOf): (() => SessionObserver | undefined) => {
  const upgrades = channel("websock-js:upgrade");
  const opens = channel("websock-js:open");
  const closes = channel("websock-js:close");
  const tracing = TRACING.map((name) => channel(`tracing:websock-js:callback:${name}`));
  const isTraced = (): boolean => tracing.some(({ hasSubscribers }) => hasSubscribers);
  const trace = traceOf(tracing);

  const observer: SessionObserver = {
    now: systemTimers.now,
    onUpgrade: (about, counts) => {
      if (!upgrades.hasSubscribers) return;
      const { httpVersion, subprotocol, compression } = about.connection;
      upgrades.publish({ ...about, httpVersion, subprotocol, compression, counts });
    },
    onOpen: (about, counts, duration) => {
      if (opens.hasSubscribers) opens.publish({ ...about, duration, resumed: duration === undefined, counts });
    },
    onClose: (about, counts, end) => {
      if (!closes.hasSubscribers) return;
      closes.publish({ ...about, ...end, codeReceived: about.connection.closeCode, counts });
    },
    get trace() {
      return isTraced() ? trace : undefined;
    },
  };
  return () =>
    upgrades.hasSubscribers || opens.hasSubscribers || closes.hasSubscribers || isTraced() ? observer : undefined;
};

/**
 * Publishes the events of a call like `TracingChannel.tracePromise`, which cannot be used because it turns the result
 * of a synchronous callback into a promise.
 */
const traceOf =
  ([start, end, asyncStart, asyncEnd, failed]: readonly Channel[]) =>
  (call: ObservedCall, run: () => unknown): unknown => {
    const message: { -readonly [Name in keyof StartedCall]: StartedCall[Name] } = { ...call, isPending: false };
    const fail = (error: unknown): void => {
      message.error = error;
      failed!.publish(message);
    };
    const settle = (): void => {
      asyncStart!.publish(message);
      asyncEnd!.publish(message);
    };
    return start!.runStores(message, () => {
      try {
        const result = message[RUN_IN] === undefined ? run() : message[RUN_IN](run);
        message.isPending = isPromiseLike(result);
        if (!message.isPending) return result;
        return Promise.resolve(result).then(
          (value) => {
            settle();
            return value;
          },
          (error) => {
            fail(error);
            settle();
            throw error;
          },
        );
      } catch (error) {
        fail(error);
        throw error;
      } finally {
        end!.publish(message);
      }
    });
  };
