/** The store in a Redis stream, and the signals over Redis Pub/Sub. Redis chooses the ids: milliseconds and a counter. */
import { createClient } from "redis";
import type { Backplane } from "websock-js/pubsub";
import { redisBackplane } from "websock-js/pubsub/redis";
import { type Entry, NEWEST, PAGE, START, type Store } from "./store.ts";

const KEY = "resume:lobby";
/** Redis keeps at least this many entries. */
const KEPT = 10_000;

export const connect = async (): Promise<{ store: Store; backplane: Backplane }> => {
  const client = createClient({
    url: process.env.REDIS_URL ?? "redis://localhost:6379",
    socket: { reconnectStrategy: (retries) => Math.min(50 * retries, 1000) },
  });
  client.on("error", (error) => console.error(error.message));
  await client.connect();

  const toEntries = (reply: Awaited<ReturnType<typeof client.xRange>>): Entry[] =>
    (reply ?? []).map(({ id, message }) => ({ id, data: message.data ?? "" }));
  const store: Store = {
    append: (data) =>
      client.xAdd(KEY, "*", { data }, { TRIM: { strategy: "MAXLEN", strategyModifier: "~", threshold: KEPT } }),
    after: async (last) => {
      // The entry `last` is read, too: if it is not there, the stream was trimmed below it, or it is another stream.
      const entries = toEntries(await client.xRange(KEY, last, "+", { COUNT: PAGE + 1 }));
      if (last === START) return entries.slice(0, PAGE);
      return entries[0]?.id === last ? entries.slice(1) : undefined;
    },
    newest: async () => toEntries(await client.xRevRange(KEY, "+", "-", { COUNT: NEWEST })).reverse(),
  };
  return { store, backplane: redisBackplane({ client, prefix: "resume" }) };
};
