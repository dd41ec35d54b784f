/** Tests that every host publishes the same events about a connection, with the counts that it can tell. */
import type http from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { echo, takeEvents } from "../hosts/telemetry-app.mjs";
import { serveHttp2 } from "../support/http2-server.ts";
import { serve } from "../support/node-server.ts";
import { BINARY, CLOSE, frame, PING, PONG, TEXT } from "../support/raw-frames.ts";
import { haveRuntime, startProgram } from "../support/runtimes.ts";
import { type Knocked, knockHttp1, knockHttp2 } from "../support/upgrade-client.ts";
import { startWorkerd } from "../support/workerd.ts";
import { serveByWs } from "../support/ws-server.ts";

type Event = Record<string, unknown>;

interface Expected {
  readonly httpVersion?: string;
  /** The host shows pings and pongs. */
  readonly control: boolean;
  /** The host shows frames. */
  readonly framed: boolean;
}

const tally = (messages: number, bytes: number) => ({ messages, bytes });

/** What is published about a client that sends a text, a binary message and a ping, and closes with 4001. */
const eventsOf = ({ httpVersion = "1.1", control, framed }: Expected): Event[] => {
  const about = { known: true, handler: "echo", path: "/echo" };
  const traffic = (ping: object, pong: object) => ({
    text: tally(1, 3),
    binary: tally(1, 300),
    ...(control && { ping, pong }),
    close: tally(1, 2),
    ...(framed && { frames: 4, compressedBytes: 0 }),
  });
  return [
    { event: "upgrade", ...about, httpVersion, subprotocol: "chat" },
    { event: "start", callback: "init" },
    { event: "end", callback: "init" },
    { event: "open", ...about, timed: true, resumed: false },
    { event: "start", callback: "handleIn", opcode: "text" },
    { event: "end", callback: "handleIn", opcode: "text" },
    { event: "start", callback: "handleIn", opcode: "binary" },
    { event: "end", callback: "handleIn", opcode: "binary" },
    {
      event: "close",
      ...about,
      timed: true,
      reason: "remote",
      codeSent: 4001,
      codeReceived: 4001,
      received: traffic(tally(1, 1), tally(0, 0)),
      sent: traffic(tally(0, 0), tally(1, 1)),
      callbacks: { count: 3, errors: 0 },
    },
  ];
};

const CLIENT: Record<string, string> = { "Sec-WebSocket-Protocol": "chat" };

/** Talks to the server, and returns the events until the connection is closed. */
const talk = async ({ status, client }: Knocked, takeEvents: () => Promise<string>): Promise<Event[]> => {
  expect(status).toBe("open");
  client.send(frame(TEXT, "hé"));
  expect((await client.frame()).opcode).toBe(TEXT);
  client.send(frame(BINARY, "x".repeat(300)));
  expect((await client.frame()).opcode).toBe(BINARY);
  client.send(frame(PING, "p"));
  expect((await client.frame()).opcode).toBe(PONG);
  client.send(frame(CLOSE, Buffer.from([4001 >> 8, 4001 & 255])));
  expect((await client.frame()).opcode).toBe(CLOSE);
  client.end();
  const events: Event[] = [];
  while (events.at(-1)?.event !== "close") events.push(...(JSON.parse(await takeEvents()) as Event[]));
  client.socket.destroy();
  return events;
};

const fetchEvents = (port: number) => async (): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/events`)).text();

describe("in this process", () => {
  const take = async (): Promise<string> => {
    await new Promise((resolve) => setImmediate(resolve));
    return takeEvents();
  };

  test("node:http", async () => {
    const { port } = await serve(echo);
    expect(await talk(await knockHttp1(port, "/echo", CLIENT), take)).toEqual(
      eventsOf({ control: true, framed: true }),
    );
  });

  test("node:http2", async () => {
    const { port } = await serveHttp2(echo);
    const knocked = await knockHttp2(port, "/echo", { "sec-websocket-protocol": "chat" });
    expect(await talk(knocked, take)).toEqual(eventsOf({ httpVersion: "2.0", control: true, framed: true }));
  });

  test("ws", async () => {
    const { port } = await serveByWs(echo as http.RequestListener);
    expect(await talk(await knockHttp1(port, "/echo", CLIENT), take)).toEqual(
      eventsOf({ control: true, framed: false }),
    );
  });
});

describe.each(["bun", "deno"] as const)("%s", (runtime) => {
  test.skipIf(!haveRuntime(runtime))("in its own process", async () => {
    const { port, stop } = await startProgram(runtime, `test/hosts/telemetry-${runtime}.mjs`);
    onTestFinished(stop);
    const events = await talk(await knockHttp1(port, "/echo", CLIENT), fetchEvents(port));
    expect(events).toEqual(eventsOf({ control: runtime === "bun", framed: false }));
  });
});

describe.skipIf(!haveRuntime("workerd"))("workerd", () => {
  test.each(["worker", "object"])("%s", async (mode) => {
    const { port, stop } = await startWorkerd("test/hosts/telemetry-workerd.mjs", mode, [
      "test/hosts/telemetry-app.mjs",
    ]);
    onTestFinished(stop);
    const events = await talk(await knockHttp1(port, "/echo", CLIENT), fetchEvents(port));
    expect(events).toEqual(eventsOf({ control: false, framed: false }));
  });
});
