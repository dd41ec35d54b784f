/** Compiled, never run: what topics and addresses accept. */
import { type Self, text } from "websock-js";
import { type Address, type Diff, Presence, PubSub } from "websock-js/pubsub";

type Info = { readonly type: "resync" } | { readonly type: "joined"; readonly name: string };

declare const self: Self<Info>;
declare const plain: Self<never>;
declare const other: Self<number>;
const pubsub = new PubSub();
const room = pubsub.topic<Info>("room");

const presence = new Presence<{ readonly nick: string; readonly isTyping?: boolean }>(pubsub, { name: "users" });

export const acceptedPresence = () => {
  presence.track(self, "room", "ada", { nick: "Ada" });
  presence.track(plain, "room", "ada", { nick: "Ada" });
  presence.update(other, "room", "ada", { nick: "Ada", isTyping: true });
  presence.update(self, "room", "ada", (meta) => ({ ...meta, isTyping: false }));
  presence.subscribe(self, "room", ({ joins }) => ({ type: "joined", name: [...joins.keys()].join() }));
  presence.onDiff((topic, { leaves }) => [topic, leaves.get("ada")?.map(({ meta }) => meta.nick)]);
  const names: string[] = presence.get("room", "ada").map(({ meta }) => meta.nick);
  const list: Record<string, readonly { readonly ref: string }[]> = Object.fromEntries(presence.list("room"));
  return [names, list];
};

export const rejectedPresence = (diff: Diff<{ readonly name: string }>) => {
  // @ts-expect-error: not the meta of this presence
  presence.track(self, "room", "ada", { name: "Ada" });
  // @ts-expect-error: a key is a string
  presence.track(self, "room", 7, { nick: "Ada" });
  // @ts-expect-error: not the meta of this presence
  presence.update(self, "room", "ada", (meta) => ({ ...meta, isTyping: 1 }));
  // @ts-expect-error: no such info
  presence.subscribe(self, "room", () => ({ type: "left" }));
  // @ts-expect-error: the connection receives no infos
  presence.subscribe(plain, "room", () => ({ type: "resync" }));
  // @ts-expect-error: a diff belongs to its listeners together
  diff.joins.clear();
  // @ts-expect-error: no such option
  return new Presence(pubsub, { beat: 1 });
};

export const accepted = () => {
  room.subscribe(self, { slow: "drop", onGap: () => ({ type: "resync" }) });
  room.broadcast({ type: "joined", name: "Ada" }, { except: self });
  room.publish(text("hi"), { except: [other, pubsub.address(plain)] });
  room.unsubscribe(other);
  pubsub.topic("plain").subscribe(self);
  const address: Address<Info> = pubsub.address(self);
  const name: string = address;
  pubsub.stop(address, name);
  return pubsub.send(address, { type: "resync" });
};

export const rejected = () => {
  // @ts-expect-error: the members of this topic receive other infos
  room.subscribe(other);
  // @ts-expect-error: its connections receive no infos
  room.subscribe(plain);
  // @ts-expect-error: no such info
  room.subscribe(self, { onGap: () => ({ type: "sync" }) });
  // @ts-expect-error: no such info
  room.broadcast({ type: "left" });
  // @ts-expect-error: a topic without a type has no infos
  pubsub.topic("plain").broadcast("hi");
  // @ts-expect-error: the connection receives other infos
  pubsub.send(pubsub.address(self), 1);
  // @ts-expect-error: not every string is an address
  return pubsub.send("address", { type: "resync" });
};
