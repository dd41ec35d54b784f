/** Attacks over HTTP/1.1: each client has a TCP connection of its own. */
import { handshake, RawClient } from "../support/raw-client.ts";
import type { AttackTransport, Entrance } from "./attack.ts";

const enter = (port: number): Entrance => {
  const clients: RawClient[] = [];
  return {
    knock: async (target, headers = {}, behind = new Uint8Array()) => {
      const client = await RawClient.open(port);
      clients.push(client);
      client.send(handshake(headers, `GET ${target} HTTP/1.1`), behind);
      return {
        client,
        answer: async () => {
          const { status } = await client.head();
          return status === 101 ? "open" : status;
        },
      };
    },
    leave: () => {
      for (const { socket } of clients.splice(0)) socket.destroy();
    },
  };
};

export const http1: AttackTransport = { name: "HTTP/1.1", column: "HTTP/1.1", enter };
