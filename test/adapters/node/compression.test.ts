/** Tests of permessage-deflate over sockets, with the client of `ws`. */
import { once } from "node:events";
import { constants, deflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  binary,
  type CloseReason,
  type DataMessage,
  type HandleResult,
  ok,
  push,
  stop,
  text,
  upgrade,
} from "websock-js";
import WebSocket from "ws";
import type { CompressOptions, WebSockOptions } from "../../../src/options.ts";
import { Echo, serve } from "../../support/node-server.ts";
import { deferred } from "../../support/promises.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

const connect = async (
  port: number,
  perMessageDeflate: WebSocket.PerMessageDeflateOptions | boolean = { threshold: 0 },
) => {
  const client = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate, maxPayload: 2 ** 30 });
  await once(client, "open");
  return client;
};

const echoWith = (compress: CompressOptions | boolean, options: WebSockOptions = {}) =>
  serve((req) => upgrade(req, Echo, undefined, { compress, ...options }));

/** Messages of all kinds: empty, short, large enough for the thread pool, and incompressible. */
const noise = (size: number): Buffer =>
  Buffer.concat(Array.from({ length: size / 1024 }, () => crypto.getRandomValues(new Uint8Array(1024))));
const MESSAGES: readonly (string | Buffer)[] = [
  "",
  "hi",
  Buffer.alloc(0),
  JSON.stringify(Array.from({ length: 50 }, (_, id) => ({ id, name: `user ${id}` }))),
  "é中😀".repeat(100),
  noise(2048),
  "abcdefghij".repeat(30_000),
  "after a large one",
  noise(200 * 1024),
  Buffer.alloc(1_000_000, "0123456789abcdef, "),
  "last",
];

/** The indexes of wrong answers: `toEqual` is too slow for large messages. */
const wrong = (answers: readonly (string | Buffer)[], messages: readonly (string | Buffer)[]): number[] =>
  messages.flatMap((message, i) => {
    const answer = answers[i];
    const same = Buffer.isBuffer(message) ? Buffer.isBuffer(answer) && message.equals(answer) : message === answer;
    return same ? [] : [i];
  });

const exchange = async (client: WebSocket, messages: readonly (string | Buffer)[]): Promise<(string | Buffer)[]> => {
  const answers: (string | Buffer)[] = [];
  const all = deferred();
  client.on("message", (data, isBinary) => {
    answers.push(isBinary ? (data as Buffer) : String(data));
    if (answers.length === messages.length) all.resolve();
  });
  client.on("close", () => all.resolve());
  for (const message of messages) client.send(message);
  await all.promise;
  return answers;
};

describe("permessage-deflate", () => {
  test.each<[string, CompressOptions | true, WebSocket.PerMessageDeflateOptions]>([
    ["as it is by default", true, {}],
    ["every message compressed", { threshold: 0 }, { threshold: 0 }],
    [
      "context takeover in both directions",
      { threshold: 0, serverNoContextTakeover: false, clientNoContextTakeover: false },
      { threshold: 0 },
    ],
    ["context takeover in ours alone", { threshold: 0, serverNoContextTakeover: false }, { threshold: 0 }],
    ["context takeover in the client's alone", { threshold: 0, clientNoContextTakeover: false }, { threshold: 0 }],
    [
      "small windows",
      { threshold: 0, serverNoContextTakeover: false, clientNoContextTakeover: false, clientMaxWindowBits: 9 },
      { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
    ],
    ["fast and with little memory", { threshold: 0, level: 1, memLevel: 1 }, { threshold: 0 }],
  ])("returns every message as it was, in order: %s", async (_, compress, perMessageDeflate) => {
    const { port } = await echoWith(compress);
    const client = await connect(port, perMessageDeflate);
    expect(client.extensions).toContain("permessage-deflate");
    const messages = [...MESSAGES, ...MESSAGES];
    expect(wrong(await exchange(client, messages), messages)).toEqual([]);
    client.close(1000);
    expect((await once(client, "close"))[0]).toBe(1000);
  });

  test("is only negotiated if both sides want it", async () => {
    for (const [ours, theirs] of [
      [false, true],
      [true, false],
    ] as const) {
      const { port } = await echoWith(ours);
      const client = await connect(port, theirs);
      expect(client.extensions).toBe("");
      expect(wrong(await exchange(client, MESSAGES), MESSAGES)).toEqual([]);
      client.terminate();
    }
  });

  test("a malformed offer is refused with 400", async () => {
    const { port } = await echoWith(true);
    const client = new WebSocket(`ws://127.0.0.1:${port}/`, {
      perMessageDeflate: false,
      headers: { "Sec-WebSocket-Extensions": "permessage-deflate; =" },
    });
    expect(String((await once(client, "error"))[0])).toContain("400");
  });

  test("self.connection.compression is the negotiated answer", async () => {
    const seen = deferred<string | undefined>();
    const { port } = await serve((req) =>
      upgrade(
        req,
        {
          ...Echo,
          init: (_: unknown, self) => {
            seen.resolve(self.connection.compression);
            return ok(null);
          },
        },
        undefined,
        {
          compress: true,
        },
      ),
    );
    const client = await connect(port);
    expect(await seen.promise).toBe("permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    client.terminate();
  });

  test("later messages and the close frame wait until a large message is compressed", async () => {
    const large = "0123456789".repeat(100_000);
    const { port } = await serve((req) =>
      upgrade(
        req,
        {
          init: () => ok(null),
          handleIn: (): HandleResult<null> =>
            stop("normal", null, {
              code: 4000,
              text: "done",
              messages: [text(large), text("small"), binary(noise(100 * 1024))],
            }),
        },
        undefined,
        { compress: true },
      ),
    );
    const client = await connect(port);
    const got: unknown[] = [];
    client.on("message", (data, isBinary) => got.push(isBinary ? (data as Buffer).length : String(data)));
    client.send("go");
    const [code, reason] = await once(client, "close");
    expect(got).toEqual([large, "small", 100 * 1024]);
    expect([code, String(reason)]).toEqual([4000, "done"]);
  });

  test("a message that arrived completely before the connection was lost is handled first, even if it is inflated in a thread", async () => {
    const seen: unknown[] = [];
    const ended = deferred<CloseReason>();
    const { port } = await serve((req) =>
      upgrade(
        req,
        {
          init: () => ok(null),
          handleIn: (message: DataMessage): HandleResult<null> => {
            seen.push(message.data.length);
            return ok(null);
          },
          terminate: (reason: CloseReason) => ended.resolve(reason),
        },
        undefined,
        { compress: true },
      ),
    );
    const client = await connect(port);
    client.send("x".repeat(300_000));
    client.send("y".repeat(400_000), () => client.terminate());
    expect(await ended.promise).toMatchObject({ error: { name: "ConnectionLost" } });
    expect(seen).toEqual([300_000, 400_000]);
  });

  const frame = (payload: Uint8Array, first = 0xc1): Buffer => {
    const header =
      payload.length < 126 ? [first, 0x80 | payload.length] : [first, 0xfe, payload.length >> 8, payload.length & 0xff];
    return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0]), payload]);
  };
  const deflated = (data: string | Uint8Array): Uint8Array =>
    deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);

  test.each<[string, Buffer, number]>([
    ["data that are no DEFLATE stream", frame(Buffer.from("ffffffff", "hex")), 1007],
    ["a text that is not UTF-8 once inflated", frame(deflated(Uint8Array.of(0x61, 0xff))), 1007],
    ["a bomb in one frame", frame(deflated(Buffer.alloc(11_000_000)).subarray(0, 20_000), 0xc2), 1009],
    ["RSV1 on a continuation", Buffer.concat([frame(deflated("a"), 0x41), frame(Buffer.from("b"), 0xc0)]), 1002],
    ["RSV1 on a ping", frame(Buffer.from("p"), 0xc9), 1002],
    ["RSV2 with RSV1", frame(deflated("a"), 0xe1), 1002],
  ])("refuses %s", async (_, octets, code) => {
    const { port } = await echoWith(true);
    const client = await connect(port);
    (client as unknown as { _socket: { write(octets: Buffer): void } })._socket.write(octets);
    expect((await once(client, "close"))[0]).toBe(code);
  });

  test("a message sent to many connections is compressed to the same bytes for all", async () => {
    const body = JSON.stringify(Array.from({ length: 100 }, (_, id) => ({ id })));
    const { port } = await serve((req) =>
      upgrade(req, { init: () => ok(null), handleIn: () => push(text(body), null) }, undefined, { compress: true }),
    );
    const clients = await Promise.all(Array.from({ length: 5 }, () => connect(port)));
    for (const client of clients) client.send("go");
    const answers = await Promise.all(clients.map((client) => once(client, "message")));
    expect(answers.map(([data]) => String(data))).toEqual(Array(5).fill(body));
    for (const client of clients) client.terminate();
  });
});
