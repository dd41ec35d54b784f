/** A Node server for the properties of topics, with clients that record what they receive. */
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { attach } from "../../src/adapters/node.ts";
import { ok } from "../../src/result.ts";
import { upgrade } from "../../src/upgrade.ts";
import type { Self } from "../../src/websock.ts";
import { inWords, serverFrames } from "../support/client-frames.ts";
import { handshake } from "../support/raw-client.ts";

/** A close frame with the code 1000. */
const CLOSE = Buffer.from([0x88, 2, 3, 0xe8]);

export interface TopicClient {
  readonly self: Self<string>;
  /** The frames that it has received, in words. */
  readonly sent: () => string[];
  /** Resolves when the connection is closed. */
  readonly closed: Promise<unknown>;
}

export class TopicServer {
  private readonly server: http.Server;
  private opened: (self: Self<string>) => void = () => undefined;

  private constructor() {
    const init = (_: undefined, self: Self<string>) => {
      this.opened(self);
      return ok(null);
    };
    const handler = { init, handleIn: () => ok(null), handleInfo: (_: string) => ok(null) };
    this.server = http.createServer((request) => void upgrade(request, handler));
    attach(this.server);
  }

  static async start(): Promise<TopicServer> {
    const server = new TopicServer();
    await once(server.server.listen(0, "127.0.0.1"), "listening");
    return server;
  }

  /** Connects a client. Its connection is open at the server when the promise resolves. */
  async connect(): Promise<TopicClient> {
    const opened = new Promise<Self<string>>((resolve) => {
      this.opened = resolve;
    });
    const socket = net.connect({ port: (this.server.address() as AddressInfo).port, host: "127.0.0.1", noDelay: true });
    const received: Uint8Array[] = [];
    socket.on("data", (chunk: Buffer) => {
      received.push(chunk);
      if (CLOSE.equals(Buffer.concat(received).subarray(-CLOSE.length))) socket.destroy();
    });
    const closed = once(socket, "close");
    socket.write(handshake());
    const self = await opened;
    const frames = () => {
      const bytes = Buffer.concat(received);
      return serverFrames(bytes.subarray(bytes.indexOf("\r\n\r\n") + 4));
    };
    return { self, sent: () => inWords(frames()), closed };
  }

  close(): void {
    this.server.close();
  }
}
