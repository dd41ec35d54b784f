/** The client of Supabase, `@supabase/realtime-js`, which speaks the same protocol with binary messages of its own. */
import type http from "node:http";
import { type RealtimeChannel, RealtimeClient } from "@supabase/realtime-js";
import { expect, onTestFinished, test } from "vitest";
import { upgrade } from "websock-js";
import { accept, channel, channels, noreply } from "websock-js/channels";
import { PubSub } from "websock-js/pubsub";
import { WebSocket } from "ws";
import { serve } from "../support/node-server.ts";

const Realtime = channel()({
  join: () => accept(0),
  handleIn: (event, payload, count, socket) => {
    // Other events, such as `access_token`, need no answer.
    if (event === "broadcast") socket.broadcastFrom("broadcast", payload);
    return noreply(count + 1);
  },
});

const subscribed = (its: RealtimeChannel): Promise<void> =>
  new Promise((resolve, reject) => {
    its.subscribe((status, error) => {
      if (status === "SUBSCRIBED") resolve();
      else if (status !== "CLOSED") reject(error ?? new Error(status));
    });
  });

test("connects, joins, and broadcasts", async () => {
  const socket = channels<http.IncomingMessage>({ pubsub: new PubSub(), channels: { "realtime:*": Realtime } });
  const { port } = await serve(async (req) => upgrade(req, socket, await socket.connect(req), socket.options));
  const open = (): RealtimeChannel => {
    const client = new RealtimeClient(`ws://127.0.0.1:${port}/socket`, {
      params: { apikey: "key" },
      transport: WebSocket as never,
    });
    onTestFinished(async () => {
      await client.disconnect();
    });
    return client.channel("room");
  };
  const [sender, receiver] = [open(), open()];
  const received = new Promise((resolve) => {
    receiver.on("broadcast", { event: "said" }, resolve);
  });
  await Promise.all([subscribed(sender), subscribed(receiver)]);
  expect(await sender.send({ type: "broadcast", event: "said", payload: { text: "häi" } })).toBe("ok");
  expect(await received).toMatchObject({ type: "broadcast", event: "said", payload: { text: "häi" } });
});
