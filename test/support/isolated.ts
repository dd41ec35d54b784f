/** The handler `test/hosts/isolate-handler.mjs`, isolated for one test. */
import { onTestFinished } from "vitest";
import { type IsolateOptions, isolate } from "websock-js/isolate";
import { PubSub } from "websock-js/pubsub";
import { connect, type TestClient } from "websock-js/testing";

/** What the handler tells: a word, and details. */
export type Told = readonly [what: string, ...details: unknown[]];

export const isolated = (options: IsolateOptions = {}) => {
  const pubsub = new PubSub();
  const told: Told[] = [];
  let wakeUp = (): void => undefined;
  pubsub.onNodesInfo((info) => {
    told.push(info as Told);
    wakeUp();
  });
  const workerErrors: Error[] = [];
  const handler = isolate(new URL("../hosts/isolate-handler.mjs", import.meta.url), {
    workers: 1,
    // With the default, tests would take long on a machine that is busy.
    nice: 0,
    pubsub,
    onWorkerError: (error) => workerErrors.push(error),
    ...options,
  });
  onTestFinished(() => handler.close());
  return {
    handler,
    pubsub,
    workerErrors,
    told,
    /** Connects a client in memory. */
    open: (arg?: unknown): Promise<TestClient<unknown>> => connect(handler as never, arg as never),
    /** Resolves with what the handler tells with this word: the first time that it has not been returned yet. */
    next: async (what: string): Promise<Told> => {
      for (;;) {
        const at = told.findIndex(([word]) => word === what);
        if (at >= 0) return told.splice(at, 1)[0]!;
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
      }
    },
  };
};

/** Sends a command to the handler. */
export const command = (client: TestClient<unknown>, name: string, argument?: unknown): void =>
  client.send(JSON.stringify([name, argument]));

/** Waits until `condition` is true, which is checked once per event-loop tick. */
export const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};
