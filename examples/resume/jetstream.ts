/**
 * The store in a JetStream stream, and the signals over NATS. The id of an entry is its sequence number and its time,
 * because a stream that was lost and created again begins with the same sequence numbers.
 */
import { JetStreamApiCodes, JetStreamApiError, type JsMsg, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect as connectNats } from "@nats-io/transport-node";
import type { Backplane } from "websock-js/pubsub";
import { natsBackplane } from "websock-js/pubsub/nats";
import { type Entry, NEWEST, PAGE, START, type Store } from "./store.ts";

const STREAM = "resume";
/** The subjects of the signals are `resume.<channel>`. They must not be among those of the stream. */
const SUBJECTS = "resume.rooms.*";
const SUBJECT = "resume.rooms.lobby";
/** The stream keeps this many entries of each room. */
const KEPT = 10_000;

export const connect = async (): Promise<{ store: Store; backplane: Backplane }> => {
  const connection = await connectNats({
    servers: process.env.NATS_URL ?? "nats://localhost:4222",
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    pingInterval: 10_000,
  });
  const js = jetstream(connection);
  const manager = await jetstreamManager(connection);

  /** Creates the stream if there is none: at the first read, or when the server has lost its data. */
  const withStream = async <T>(act: () => Promise<T>): Promise<T> => {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || error.code !== JetStreamApiCodes.StreamNotFound) throw error;
      await manager.streams.add({ name: STREAM, subjects: [SUBJECTS], max_msgs_per_subject: KEPT });
      return act();
    }
  };
  /** The entries of the room from this sequence number on, with an ordered consumer that exists until they are read. */
  const from = async (seq: number, count: number): Promise<Entry[]> => {
    // nats-server before 2.10 accepts one subject only, as a string.
    const consumer = await js.consumers.get(STREAM, { opt_start_seq: seq, filter_subjects: SUBJECT });
    try {
      const entries: Entry[] = [];
      const { num_pending: pending } = await consumer.info(true);
      if (pending === 0) return entries;
      // It ends when it has as many, or after the time if some of them have been removed meanwhile.
      const messages = await consumer.fetch({ max_messages: Math.min(count, pending), expires: 5_000 });
      for await (const message of messages) entries.push(toEntry(message));
      return entries;
    } finally {
      await consumer.delete();
    }
  };
  const toEntry = (message: JsMsg): Entry => ({
    id: `${message.seq}-${message.info.timestampNanos}`,
    data: message.string(),
  });

  const store: Store = {
    // A message that is sent again within two minutes is not stored again, whichever node it is sent to.
    append: async (data, key) => String((await js.publish(SUBJECT, data, { msgID: key })).seq),
    after: (last) =>
      withStream(async () => {
        if (last === START) return from(1, PAGE);
        // The entry `last` is read, too: if it is not there, the stream was trimmed below it, or it is another stream.
        const entries = await from(Number.parseInt(last, 10), PAGE + 1);
        return entries[0]?.id === last ? entries.slice(1) : undefined;
      }),
    newest: () =>
      withStream(async () => {
        // Not `getMessage`: if another node creates the stream at the same time, it blocks JetStream in nats-server 2.9.10.
        const { state } = await manager.streams.info(STREAM);
        // These are fewer than `NEWEST` if messages of other rooms are among them.
        return from(Math.max(1, state.last_seq - NEWEST + 1), NEWEST);
      }),
  };
  return { store, backplane: natsBackplane({ connection, prefix: "resume" }) };
};
