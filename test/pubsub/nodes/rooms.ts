/** Nodes with one member each in the topic "room", and somebody else on their engine. */
import type { Gap, PubSubOptions } from "../../../src/pubsub/index.ts";
import { type EntryType, EnvelopeWriter, PLAIN, uuidBytes } from "../../../src/pubsub/nodes/envelope.ts";
import type { ManualClock } from "../../../src/testing/manual-clock.ts";
import { join, type Member } from "../members.ts";
import { TestCluster, type TestNode } from "./cluster.ts";

export const gapText = ({ cause, missed, node }: Gap): string =>
  `gap:${cause}:${missed ?? "?"}:${node === undefined ? "-" : "n"}`;

export interface Rooms {
  readonly cluster: TestCluster;
  readonly nodes: readonly TestNode[];
  /** One of each node. */
  readonly members: readonly Member[];
}

export const setUp = async (
  count: number,
  options: PubSubOptions = {},
  cluster: TestCluster = new TestCluster(),
): Promise<Rooms> => {
  const nodes = await cluster.nodes(count, options);
  const members: Member[] = [];
  for (const { pubsub } of nodes) members.push(await join(pubsub, ["room"], { onGap: gapText }));
  await cluster.settle();
  return { cluster, nodes, members };
};

/** What members have received that is no info. */
export const messagesOf = ({ texts }: Member): string[] => texts().filter((text) => !text.startsWith("info:"));

/** How many tasks are scheduled on a clock. */
export const scheduledOn = (clock: ManualClock): number => (Reflect.get(clock, "moments") as { size: number }).size;

export type Stranger = (channel: string, bytes: Uint8Array) => void;

/** Somebody who can publish anything to the engine, as with `redis-cli PUBLISH`. */
export const strangerOn = ({ engine }: TestCluster): Stranger => {
  const ignore = (): void => undefined;
  const link = { node: crypto.randomUUID(), receive: ignore, up: ignore, away: ignore, warn: ignore };
  const connection = engine.backplane().connect(link);
  return (channel, bytes) => connection.publish(channel, bytes, ignore);
};

/** An envelope as a node writes it. */
export const envelope = (
  entries: readonly (readonly [type: number, body: string | Uint8Array])[],
  { node = crypto.randomUUID() as string, epoch = 1, first = 1 } = {},
): Uint8Array => {
  const writer = new EnvelopeWriter(uuidBytes(node), epoch, first);
  for (const [type, body] of entries) writer.add(type as EntryType, body, Buffer.byteLength(body), PLAIN);
  return writer.finish().slice();
};
