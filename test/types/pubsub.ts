/** Compiled, never run: what topics and addresses accept. */
import { type Self, text } from "websock-js";
import { type Address, PubSub } from "websock-js/pubsub";

type Info = { readonly type: "resync" } | { readonly type: "joined"; readonly name: string };

declare const self: Self<Info>;
declare const plain: Self<never>;
declare const other: Self<number>;
const pubsub = new PubSub();
const room = pubsub.topic<Info>("room");

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
