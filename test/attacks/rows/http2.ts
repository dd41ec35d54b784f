/** Attacks on what only HTTP/2 has: requests in frames, compressed headers, and many streams on one connection. */
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { frame, TEXT } from "../../support/raw-frames.ts";
import {
  CONTINUATION,
  connectFields,
  DATA,
  END_HEADERS,
  field as fieldOf,
  frameOf,
  GOAWAY,
  HEADERS,
  RawHttp2,
  RST_STREAM,
} from "../../support/raw-http2.ts";
import type { Attack } from "../attack.ts";
import type { Field } from "../field.ts";

const dial = async (field: Field): Promise<RawHttp2> => RawHttp2.of(await field.dial());

/** RFC 9113 §7. */
const ENHANCE_YOUR_CALM = Buffer.from([0, 0, 0, 11]);

/** The maximum payload of a frame that the server accepts, if its settings do not raise it (RFC 9113 §4.2). */
const MAX_FRAME = 16_384;

const refused = (
  name: string,
  answer: string,
  headers: Record<string, string | string[]>,
  http2: Attack["http2"] = {},
): Attack => ({
  name,
  answer,
  http2,
  bounds: { peakMiB: 32, cpuMs: 2000 },
  happens: {},
  requests: {},
  onlyOver: "HTTP/2",
  run: async (field) => {
    await field.many(100, async () => {
      const { answer } = await field.knock("/ws/echo", headers);
      expect(await answer()).toBe("reset");
    });
  },
});

export const http2Attacks: readonly Attack[] = [
  {
    name: "200 CONNECTs that arrive byte by byte and never end",
    answer: "allocates nothing before the last byte; `server.setTimeout` ends the connection, if it is set",
    bounds: { peakMiB: 32, cpuMs: 2500 },
    happens: {},
    requests: {},
    onlyOver: "HTTP/2",
    http2: { timeout: 400 },
    run: async (field) => {
      const unfinished = frameOf(HEADERS, END_HEADERS, 1, connectFields("/ws/echo")).subarray(0, -2);
      await field.many(200, async () => {
        const client = await dial(field);
        for (const byte of unfinished.subarray(0, 60)) {
          client.send(Uint8Array.of(byte));
          await turn();
        }
        client.send(unfinished.subarray(60));
        await client.ended;
      });
    },
  },
  refused("100 CONNECTs with thousands of headers", "Node resets the stream at its `maxHeaderListPairs` (128)", {
    a: Array<string>(2500).fill(""),
  }),
  refused(
    "100 CONNECTs with a header of 100 KB, where `settings.maxHeaderListSize` is set",
    "Node resets the stream; if the setting is missing, the header is read",
    { cookie: "c".repeat(100_000) },
    { settings: { maxHeaderListSize: 65_535 } },
  ),
  {
    name: "100 CONNECTs whose headers never end: CONTINUATION frames, up to 1 MiB of them",
    answer: "nghttp2 ends the connection after a few of them",
    bounds: { peakMiB: 32, cpuMs: 2000 },
    happens: {},
    requests: {},
    onlyOver: "HTTP/2",
    run: async (field) => {
      const some = fieldOf("x-more", "m".repeat(1000));
      await field.many(100, async () => {
        const client = (await dial(field)).send(frameOf(HEADERS, 0, 1, connectFields("/ws/echo")));
        let over = false;
        void client.ended.then(() => {
          over = true;
        });
        for (let sent = 0; sent < 1024 && !over; sent++) {
          client.send(frameOf(CONTINUATION, 0, 1, some));
          await turn();
        }
        expect(over).toBe(true);
      });
    },
  },
  {
    name: "100 CONNECTs of 16 KB, whose headers would be 48 MB each (RFC 7541: 4 KB, referenced again and again)",
    answer: "Node resets the stream at its `maxHeaderListPairs` (128); the connection's other streams continue",
    bounds: { peakMiB: 32, cpuMs: 3000 },
    happens: { init: 20, ConnectionLost: 20 },
    requests: { "GET /ws/echo": 20 },
    onlyOver: "HTTP/2",
    run: async (field) => {
      const large = fieldOf("a", "x".repeat(4000), true);
      // References to the entry that was added last (RFC 7541 §2.3.3).
      const again = Buffer.alloc(12_000, 0x80 | 62);
      await field.many(20, async () => {
        const client = await dial(field);
        for (const stream of [1, 3, 5, 7, 9]) {
          const block = Buffer.concat([connectFields("/ws/echo"), large, again]);
          expect(block.length).toBeLessThan(MAX_FRAME);
          client.send(frameOf(HEADERS, END_HEADERS, stream, block));
          expect(await client.frame()).toMatchObject({ type: RST_STREAM, stream, payload: ENHANCE_YOUR_CALM });
        }
        client.send(frameOf(HEADERS, END_HEADERS, 11, connectFields("/ws/echo")));
        expect(await client.frame()).toMatchObject({ type: HEADERS, stream: 11 });
      });
    },
  },
  {
    name: "messages of 60 KB, each byte in a DATA frame of its own",
    answer: "collects the bytes as they arrive; none of them keeps the memory in which it arrived",
    bounds: { peakMiB: 48, cpuMs: 6000 },
    happens: { init: 4, ConnectionLost: 4 },
    onlyOver: "HTTP/2",
    run: async (field) => {
      const message = frame(TEXT, "m".repeat(60_000));
      const pieces = Buffer.concat([...message].map((byte) => frameOf(DATA, 0, 1, Uint8Array.of(byte))));
      await field.many(4, async () => {
        const client = await dial(field);
        client.send(frameOf(HEADERS, END_HEADERS, 1, connectFields("/ws/echo")), pieces);
        expect((await client.frame()).type).toBe(HEADERS);
        for (let got = 0; got < 4 + 60_000; ) {
          const { type, payload } = await client.frame();
          if (type === GOAWAY || type === RST_STREAM) throw new Error(`cut off: ${payload.toString("hex")}`);
          if (type === DATA) got += payload.length;
        }
      });
    },
  },
  {
    name: "10 connections dropped simultaneously, each with 100 WebSockets",
    answer: "each WebSocket ends by itself, and its memory is freed",
    bounds: { peakMiB: 48, cpuMs: 3000 },
    happens: { init: 1000, ConnectionLost: 1000 },
    onlyOver: "HTTP/2",
    run: async (field) => {
      const clients = await field.many(1000, () => field.connect("echo"));
      await Promise.all(clients.map((client) => client.send(frame(TEXT, "here")).text()));
      await field.weigh();
      field.leave();
      await field.reaches("ConnectionLost", 1000);
    },
  },
];
