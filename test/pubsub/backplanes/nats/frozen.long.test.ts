/** A server that is frozen when the backplane starts: without a limit, the client would wait for its own pings. */
import { connect } from "@nats-io/transport-node";
import { expect, it } from "vitest";
import { natsBackplane } from "websock-js/pubsub/nats";
import { haveNatsServer, startNatsServer } from "../../../support/nats-server.ts";

it.skipIf(!haveNatsServer())(
  "tries another connection if the server does not confirm",
  { timeout: 60_000 },
  async () => {
    const server = await startNatsServer();
    const connection = await connect({ servers: server.url, maxReconnectAttempts: -1, timeout: 1_000 });
    const events: string[] = [];
    server.pause();
    const backplane = natsBackplane({ connection, prefix: "app" });
    const up = new Promise<void>((resolve) => {
      backplane.connect({
        node: "a",
        receive: () => undefined,
        up: () => {
          events.push("up");
          resolve();
        },
        away: () => {
          events.push("away");
          server.resume();
        },
        warn: () => undefined,
      });
    });
    await up;
    expect(events).toEqual(["away", "up"]);
    await connection.close();
    await server.stop();
  },
);
