/** Tests of frames over HTTP/1.1: protocol violations, close frames and valid edge cases. */
import { describe, expect, test } from "vitest";
import { ProtocolError, upgrade, type WebSockOptions } from "websock-js";
import { Echo, Recorder, serve } from "../../support/node-server.ts";
import { handshake, RawClient } from "../../support/raw-client.ts";
import { BINARY, CLOSE, CONTINUATION, closeFrame, frame, PING, PONG, TEXT } from "../../support/raw-frames.ts";
import { failOnUncaught } from "../../support/uncaught.ts";

failOnUncaught();

const HEALTHY = "/healthy";

/** Starts a server with a recorder at `/`, and connects a client. */
const connected = async (options: WebSockOptions = {}) => {
  const recorder = new Recorder();
  const served = await serve((req) =>
    req.url === HEALTHY ? upgrade(req, Echo) : upgrade(req, recorder, undefined, options),
  );
  return { ...served, recorder, client: await RawClient.upgraded(served.port) };
};

const isHealthy = async (port: number): Promise<void> => {
  const client = await RawClient.open(port);
  await client.send(handshake({}, `GET ${HEALTHY} HTTP/1.1`)).accepted();
  expect(await client.send(frame(TEXT, "healthy")).text()).toBe("healthy");
};

const bad = Uint8Array.of(0xce, 0xba, 0xe1, 0xbd, 0xb9, 0xcf, 0x83, 0xce, 0xbc, 0xce, 0xb5, 0xed, 0xa0, 0x80);

type Violation = [name: string, bytes: readonly Uint8Array[], code: number, options?: WebSockOptions];

const violations: Violation[] = [
  ["a frame that is not masked", [frame(TEXT, "x", { masked: false })], 1002],
  ["a close frame that is not masked", [frame(CLOSE, "", { masked: false })], 1002],
  ["reserved bit 1", [frame(TEXT, "x", { rsv: 4 })], 1002],
  ["reserved bit 2", [frame(TEXT, "x", { rsv: 2 })], 1002],
  ["reserved bit 3", [frame(PING, "x", { rsv: 1 })], 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((code): Violation => [`opcode ${code}`, [frame(code, "x")], 1002]),
  ["a 64-bit length with its top bit set", [frame(BINARY, "", { length: 1n << 63n })], 1002],
  ["the largest 64-bit length", [frame(BINARY, "", { length: (1n << 64n) - 1n })], 1002],
  ["a length of 2^53", [frame(BINARY, "", { length: 1n << 53n })], 1009],
  ["a 16-bit length that is not the shortest form", [Buffer.from([0x82, 0xfe, 0, 125])], 1002],
  ["a 64-bit length that is not the shortest form", [Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255])], 1002],
  [
    "a frame above maxFrameSize, by its header alone",
    [frame(BINARY, "", { length: 101 })],
    1009,
    { maxFrameSize: 100 },
  ],
  ["a message above maxMessageSize, by its header", [frame(TEXT, "", { length: 101 })], 1009, { maxMessageSize: 100 }],
  [
    "a fragment that takes its message above maxMessageSize",
    [frame(TEXT, "x".repeat(60), { fin: false }), frame(CONTINUATION, "", { length: 41 })],
    1009,
    { maxMessageSize: 100 },
  ],
  [
    "more than maxFragments",
    [frame(TEXT, "", { fin: false }), ...Array.from({ length: 3 }, () => frame(CONTINUATION, "", { fin: false }))],
    1008,
    { maxFragments: 3 },
  ],
  ["a ping in fragments", [frame(PING, "x", { fin: false })], 1002],
  ["a close in fragments", [frame(CLOSE, "", { fin: false })], 1002],
  ["a ping of 126 octets", [frame(PING, "x".repeat(126))], 1002],
  ["a pong of 70 000 octets", [frame(PONG, "x".repeat(70_000))], 1002],
  ["a close of 126 octets", [closeFrame(1000, "x".repeat(124))], 1002],
  ["a continuation without a start", [frame(CONTINUATION, "x")], 1002],
  ["a continuation after the end", [frame(TEXT, "x", { fin: false }), frame(CONTINUATION), frame(CONTINUATION)], 1002],
  ["a text within a fragmented message", [frame(TEXT, "x", { fin: false }), frame(TEXT, "y")], 1002],
  ["a binary within a fragmented message", [frame(TEXT, "x", { fin: false }), frame(BINARY, "y")], 1002],
  ["text that is no UTF-8", [frame(TEXT, bad)], 1007],
  ["text cut within a character", [frame(TEXT, Buffer.from("é").subarray(0, 1))], 1007],
  [
    "text that is no UTF-8, in fragments",
    [frame(TEXT, bad.subarray(0, 12), { fin: false }), frame(CONTINUATION, bad.subarray(12))],
    1007,
  ],
  ["text that can't become UTF-8 any more, before its end", [frame(TEXT, bad, { fin: false })], 1007],
  ["a close text that is no UTF-8", [closeFrame(1000, bad)], 1007],
  ["a close payload of one octet", [frame(CLOSE, "x")], 1002],
  ...[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535].map(
    (code): Violation => [`close code ${code}`, [closeFrame(code)], 1002],
  ),
];

/** Skips the answers to the valid frames before the violation. */
const nextCloseCode = async (client: RawClient): Promise<number> => {
  for (;;) {
    const { opcode, payload } = await client.frame();
    if (opcode === CLOSE) return payload.readUInt16BE();
  }
};

describe("a protocol violation ends its connection and no other:", () => {
  test.each(violations)("%s", async (_name, bytes, code, options) => {
    const { client, recorder, port, sockets, errors } = await connected(options);
    client.send(frame(TEXT, "before"), ...bytes, frame(TEXT, "after"));
    expect(await client.text()).toBe("before");
    expect(await nextCloseCode(client)).toBe(code);
    expect((await client.rest()).length).toBe(0);
    client.end();
    expect(await recorder.terminated).toEqual({ error: expect.any(ProtocolError) });
    expect(recorder.messages).not.toContain("after");
    expect(recorder.messages[0]).toBe("before");
    await isHealthy(port);
    expect(errors).toEqual([]);
    expect(sockets.connections).toBeLessThanOrEqual(2);
  });

  test.each(violations.filter(([name]) => !name.includes("70 000")))("%s, byte by byte", async (...violation) => {
    const [, bytes, code, options] = violation;
    const { client } = await connected(options);
    const trickled = client.trickle(Buffer.concat(bytes)).catch(() => {});
    expect(await nextCloseCode(client)).toBe(code);
    expect(await client.ended).toBe("end");
    client.end();
    await trickled;
  });
});

describe("close frames", () => {
  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999])(
    "the code %i is echoed, without the text",
    async (code) => {
      const { client, recorder } = await connected();
      client.send(closeFrame(code, "ünïcode"));
      const { payload } = await client.frame();
      expect([...payload]).toEqual([code >> 8, code & 255]);
      expect(await client.ended).toBe("end");
      expect(await recorder.terminated).toBe("remote");
    },
  );

  test("an empty close frame is answered with an empty one", async () => {
    const { client, recorder } = await connected();
    expect((await client.send(closeFrame()).frame()).payload.length).toBe(0);
    expect(await client.ended).toBe("end");
    expect(await recorder.terminated).toBe("remote");
  });

  test("data after a close frame is dropped", async () => {
    const { client, recorder, port } = await connected();
    client.send(closeFrame(1000), frame(TEXT, "after"), frame(3, "nonsense", { masked: false }), frame(PING, "x"));
    expect(await client.closeCode()).toBe(1000);
    client.send(Buffer.alloc(1_000_000, 0xff));
    expect((await client.rest()).length).toBe(0);
    expect(await recorder.terminated).toBe("remote");
    expect(recorder.messages).toEqual([]);
    await isHealthy(port);
  });

  test("the handler gets a close reason text of 123 bytes", async () => {
    let told: unknown;
    const handler: typeof Echo = {
      ...Echo,
      terminate: (_reason, _state, self) => void (told = [self.connection.closeCode, self.connection.closeText]),
    };
    const { port } = await serve((req) => upgrade(req, handler));
    const client = await RawClient.upgraded(port);
    await client.send(closeFrame(4001, "é".repeat(61))).closeCode();
    expect(told).toEqual([4001, "é".repeat(61)]);
  });
});

describe("valid frames are accepted:", () => {
  test("pings are answered in order, also between fragments", async () => {
    const { client } = await connected();
    client.send(frame(PING, "1"), frame(TEXT, "a", { fin: false }), frame(PING, "x".repeat(125)), frame(PONG, "2"));
    client.send(frame(CONTINUATION, "", { fin: false }), frame(PING), frame(CONTINUATION, "b"));
    for (const payload of ["1", "x".repeat(125), ""]) {
      expect(await client.frame()).toEqual({ fin: true, rsv: 0, opcode: PONG, payload: Buffer.from(payload) });
    }
    expect(await client.text()).toBe("ab");
  });

  test("byte by byte", async () => {
    const { client, recorder } = await connected();
    const long = "è".repeat(200);
    const bytes = [
      frame(TEXT, "whole"),
      frame(BINARY),
      frame(TEXT, Buffer.from(long).subarray(0, 201), { fin: false }),
      frame(PING, "p"),
      frame(CONTINUATION, Buffer.from(long).subarray(201)),
      closeFrame(1000, "bye"),
    ];
    await client.trickle(Buffer.concat(bytes));
    expect(await client.text()).toBe("whole");
    expect(await client.frame()).toMatchObject({ opcode: BINARY, payload: Buffer.alloc(0) });
    expect(await client.frame()).toMatchObject({ opcode: PONG });
    expect(await client.text()).toBe(long);
    expect(await client.closeCode()).toBe(1000);
    expect(recorder.messages).toEqual(["whole", Buffer.alloc(0), long]);
  });

  test.each([0, 1, 125, 126, 127, 65_535, 65_536, 1_000_000])("a message of %i bytes", async (size) => {
    const { client } = await connected();
    const payload = Buffer.alloc(size, "payload");
    expect((await client.send(frame(BINARY, payload)).frame()).payload.equals(payload)).toBe(true);
    client.send(frame(BINARY, payload.subarray(0, size >> 1), { fin: false }));
    client.send(frame(CONTINUATION, payload.subarray(size >> 1)));
    expect((await client.frame()).payload.equals(payload)).toBe(true);
  });

  test("a message of exactly maxMessageSize in frames of exactly maxFrameSize", async () => {
    const { client } = await connected({ maxMessageSize: 20, maxFrameSize: 10 });
    client.send(frame(TEXT, "0123456789", { fin: false }), frame(CONTINUATION, "0123456789"));
    expect(await client.text()).toBe("01234567890123456789");
  });

  test("invalid UTF-8 in a text if validation is disabled", async () => {
    const { client } = await connected({ validateUtf8: false });
    expect(await client.send(frame(TEXT, Uint8Array.of(0x61, 0xff))).text()).toBe("a\ufffd");
  });
});
