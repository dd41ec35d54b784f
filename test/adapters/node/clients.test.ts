/** Tests with independent client implementations. */
import { once } from "node:events";
import net from "node:net";
import { describe, expect, test } from "vitest";
import { upgrade } from "websock-js";
import websocketDriver from "websocket-driver";
import WebSocket from "ws";
import { Echo, serve } from "../../support/node-server.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

const texts = ["", "hello", "é中😀", "x".repeat(200), "ü".repeat(70_000)];

describe("ws", () => {
  test("opens, sends and receives, pings and closes", async () => {
    const { port } = await serve((req) => upgrade(req, Echo, undefined, { subprotocols: ["chat"] }));
    const client = new WebSocket(`ws://127.0.0.1:${port}/`, ["other", "chat"]);
    await once(client, "open");
    expect(client.protocol).toBe("chat");
    expect(client.extensions).toBe("");
    for (const text of texts) {
      client.send(text);
      const [data, isBinary] = await once(client, "message");
      expect([String(data), isBinary]).toEqual([text, false]);
    }
    client.ping("p");
    expect(String((await once(client, "pong"))[0])).toBe("p");
    client.close(3000, "bye");
    expect(await once(client, "close")).toEqual([3000, Buffer.alloc(0)]);
  });

  test("gets the status of a refusal", async () => {
    const { port } = await serve((req) => upgrade(req, Echo));
    const client = new WebSocket(`ws://127.0.0.1:${port}/`, { origin: "http://elsewhere.example" });
    const [error] = await once(client, "error");
    expect(error.message).toContain("403");
  });

  test("serves a hundred connections with a thousand messages each in flight", async () => {
    const { port, sockets } = await serve((req) => upgrade(req, Echo));
    const clients = Array.from({ length: 100 }, () => new WebSocket(`ws://127.0.0.1:${port}/`));
    await Promise.all(clients.map((client) => once(client, "open")));
    expect(sockets.connections).toBe(100);
    await Promise.all(
      clients.map(
        (client) =>
          new Promise<void>((resolve, reject) => {
            let received = 0;
            client.on("message", (data) => {
              if (String(data) !== String(received)) reject(new Error(`${data} instead of ${received}`));
              if (++received === 1000) resolve();
            });
            for (let i = 0; i < 1000; i++) client.send(String(i));
          }),
      ),
    );
    const closed = Promise.all(clients.map((client) => once(client, "close")));
    await sockets.close();
    expect((await closed).map(([code]) => code)).toEqual(Array(100).fill(1001));
  });
});

describe("websocket-driver", () => {
  test("opens, sends and receives, pings and closes", async () => {
    const { port } = await serve((req) => upgrade(req, Echo, undefined, { subprotocols: ["chat"] }));
    const driver = websocketDriver.client(`ws://127.0.0.1:${port}/`, { protocols: ["chat"] });
    const socket = net.connect(port, "127.0.0.1");
    socket.pipe(driver.io).pipe(socket);
    const errors: unknown[] = [];
    driver.on("error", (error: unknown) => errors.push(error));
    driver.start();
    await once(driver, "open");
    expect(driver.protocol).toBe("chat");
    for (const text of texts) {
      driver.text(text);
      const [message] = await once(driver, "message");
      expect(message.data).toBe(text);
    }
    driver.binary(Buffer.from([1, 2, 3]));
    expect(Buffer.from((await once(driver, "message"))[0].data)).toEqual(Buffer.from([1, 2, 3]));
    await new Promise<void>((resolve) => driver.ping("p", resolve));
    const closed = once(driver, "close");
    driver.close("bye", 3000);
    expect((await closed)[0].code).toBe(3000);
    expect(errors).toEqual([]);
  });
});
