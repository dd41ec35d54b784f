/** The latest messages of each room. Every node keeps them, so that a room is the same on all nodes. */
import { events, pubsub } from "./node.ts";
import type { Said } from "./protocol.ts";

const LENGTH = 50;

/** What the nodes send each other. */
type NodeInfo =
  | { readonly type: "said"; readonly room: string; readonly said: Said }
  | { readonly type: "history"; readonly room: string; readonly history: readonly Said[] }
  /** Asks all nodes to send what they have. */
  | { readonly type: "exchange" };

const rooms = new Map<string, readonly Said[]>();

const tellNodes = (info: NodeInfo): boolean => pubsub.broadcastToNodes(info);

export const historyOf = (room: string): readonly Said[] => rooms.get(room) ?? [];

export const dropHistory = (room: string): boolean => rooms.delete(room);

/** Adds a message on all nodes. */
export const addToHistory = (room: string, said: Said): boolean => tellNodes({ type: "said", room, said });

/** Returns those of the messages that this node did not have. */
const merge = (room: string, messages: readonly Said[]): readonly Said[] => {
  const known = historyOf(room);
  const missed = messages.filter(({ id }) => !known.some((said) => said.id === id));
  rooms.set(room, [...known, ...missed].sort((a, b) => a.at - b.at).slice(-LENGTH));
  return missed;
};

/** @param onMissed is called with messages that this node has missed */
export const shareHistories = (onMissed: (room: string, missed: readonly Said[]) => void): void => {
  pubsub.onNodesInfo((value) => {
    const info = value as NodeInfo;
    switch (info.type) {
      case "said":
        merge(info.room, [info.said]);
        break;
      case "history":
        onMissed(info.room, merge(info.room, info.history));
        break;
      case "exchange":
        for (const [room, history] of rooms) tellNodes({ type: "history", room, history });
    }
  });
  for (const event of ["up", "gap"] as const) events.on(event, () => tellNodes({ type: "exchange" }));
};
