/**
 * The names of channels: `t:<topic>`, `n:<node>`, and {@link ALL_NODES}. They contain no lone surrogate, because
 * engines encode names as UTF-8, where all lone surrogates are alike: a topic whose name has one is `u:<its UTF-16
 * units in hexadecimal>`.
 */

/** The channel of all nodes: which are alive, presence, and what is broadcast to nodes. */
export const ALL_NODES = "all";

/** The channel of one node: probes, and what is sent to addresses. */
export const nodeChannel = (node: string): string => `n:${node}`;

const LONE_SURROGATE = /\p{Surrogate}/u;

export const topicChannel = (topic: string): string =>
  LONE_SURROGATE.test(topic) ? `u:${unitsOf(topic)}` : `t:${topic}`;

const unitsOf = (topic: string): string =>
  Array.from({ length: topic.length }, (_, i) => topic.charCodeAt(i).toString(16).padStart(4, "0")).join("");

/** The topic of a channel; `undefined` for one that is no topic's. */
export const topicOf = (channel: string): string | undefined => {
  if (channel.startsWith("t:")) return channel.slice(2);
  if (!channel.startsWith("u:")) return undefined;
  const units = channel.slice(2).match(/.{4}/g) ?? [];
  return String.fromCharCode(...units.map((unit) => Number.parseInt(unit, 16)));
};
