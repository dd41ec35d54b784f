/** The memory of connections that are paused while the messages of one read are being handled. */
import { once } from "node:events";
import net from "node:net";
import { afterAll, expect, test } from "vitest";
import { MeasuredServer } from "../../../support/measured-server.ts";
import { nextTick } from "../../../support/promises.ts";
import { handshake } from "../../../support/raw-client.ts";
import { BINARY, frame } from "../../../support/raw-frames.ts";

const CONNECTIONS = 5_000;

/**
 * What a connection may keep, in KiB: the messages in its mailbox, the rest of a read, one more read in the queue of the
 * socket (64 KiB each), and itself. Measured: 176 (Node 20) to 228 (Node 22).
 */
const MAX_SIZE = 260;

const clients: net.Socket[] = [];
afterAll(() => {
  for (const client of clients) client.destroy();
});

const connect = async (port: number): Promise<net.Socket> => {
  const client = net.connect(port, "127.0.0.1");
  clients.push(client);
  client.write(handshake());
  await once(client, "data");
  return client;
};

test(`${CONNECTIONS} connections that are paused in the middle of a read keep little more than one read each`, {
  timeout: 120_000,
}, async () => {
  const server = await MeasuredServer.start("adapters/node/receive-buffer/paused-server.mjs", {});
  try {
    const opened: net.Socket[] = [];
    while (opened.length < CONNECTIONS)
      opened.push(...(await Promise.all(Array.from({ length: 100 }, () => connect(server.port)))));
    await server.ask("start");
    const messages = Buffer.concat(Array<Buffer>(30).fill(frame(BINARY, "x".repeat(8_000))));
    for (const client of opened) client.write(messages);
    while ((await server.ask<number>("paused")) < CONNECTIONS) await nextTick();
    const { peakMiB } = await server.ask<{ peakMiB: number }>("costs");
    expect((peakMiB * 1024) / CONNECTIONS).toBeLessThan(MAX_SIZE);
    // Nothing was lost: the messages are handled when the handlers continue.
    await server.ask("resume");
    while ((await server.ask<number>("handled")) < CONNECTIONS * 30) await nextTick();
  } finally {
    server.stop();
  }
});
