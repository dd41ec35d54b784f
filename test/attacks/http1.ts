/** Attacks over HTTP/1.1: a socket of their own for each client. */
import { handshake, RawClient } from "../support/raw-client.ts";
import type { AttackTransport } from "./attack.ts";

export const http1: AttackTransport = {
  name: "HTTP/1.1",
  connect: async (port, target, headers = {}) => {
    const client = await RawClient.open(port);
    await client.send(handshake(headers, `GET ${target} HTTP/1.1`)).accepted();
    return client;
  },
};
