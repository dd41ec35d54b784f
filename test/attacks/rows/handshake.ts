/** Attacks on the opening handshake. */
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { handshake, requestOf } from "../../support/raw-client.ts";
import type { Attack } from "../attack.ts";
import type { Field } from "../field.ts";

const TARGET = "GET /ws/echo HTTP/1.1";

/**
 * Node's own clocks, but faster: these attacks are about real time, which the sessions' clock does not rule. Not so
 * fast that a slow machine has not sent everything by then.
 */
const IMPATIENT = { headersTimeout: 1000, requestTimeout: 1000, connectionsCheckingInterval: 50 } as const;

/** What makes careless patterns and parsers go back and forth. */
const SHAPES = {
  "Sec-WebSocket-Extensions": [",", "a;", "a=;", 'a="\\"', "a;b=", " \t", "permessage-deflate,", 'x="', "a; a=a", '"'],
  "Sec-WebSocket-Protocol": [",", "a,", "a ", " \t", "a\t,", "(", "a;"],
  Connection: [",", "upgrade ", "upgrade, ", " \t", "upgrade\t\t", ", \t", "upgradeupgrade,"],
  Origin: ["a", ":", "http://", "http://a.", "[", "@", "%41"],
} as const;

/** Sends handshakes with the header in two sizes, and notes how many times longer the longer ones took. */
const compareSizes = async (field: Field, name: keyof typeof SHAPES): Promise<void> => {
  const ask = async (shape: string, size: number, i: number): Promise<void> => {
    // The last character keeps a pattern from matching in the end.
    const value = `${name === "Connection" ? "Upgrade, " : ""}a${shape.repeat(size / shape.length)}!`;
    // Every other one is not even for us: over HTTP/1.1 those take another way, where `Connection` is rewritten.
    const other = field.over === "HTTP/1.1" && i % 2 === 1 ? { Upgrade: "h2c" } : {};
    const { client, answer } = await field.knock("/ws/echo", { ...other, [name]: value });
    expect(["open", 400, 403, 426]).toContain(await answer());
    await client.reset();
  };
  for (const shape of SHAPES[name]) {
    const [short, long] = [8_000, 64_000].map((size) => () => field.many(8, (i) => ask(shape, size, i))) as [
      () => Promise<unknown>,
      () => Promise<unknown>,
    ];
    await long(); // the first time is about compiling
    const shorter = await field.time(3, short);
    const longer = await field.time(3, long);
    field.costs.growth = Math.max(field.costs.growth ?? 0, longer / Math.max(shorter, 2));
  }
};

const UNANSWERED_OFFER =
  'undefined: TypeError: a client offered the subprotocols "a", "!", but the route /ws/echo selected none: browsers and most ' +
  'other clients then fail the connection (ConnectionLost). List those that the route supports in the option "subprotocols", for example ["a", "!"]';

const linear = (name: keyof typeof SHAPES): Attack => ({
  name: `the header ${name}, made to be expensive to parse`,
  answer: "parses it in one pass",
  bounds: { peakMiB: 96, cpuMs: 6000, growth: 16 },
  ...(name === "Connection" ? { onlyOver: "HTTP/1.1" } : {}),
  // Reported once, however many clients offer whatever they like.
  ...(name === "Sec-WebSocket-Protocol" ? { told: [UNANSWERED_OFFER] } : {}),
  http: { maxHeaderSize: 131_072 },
  http2: { settings: { maxHeaderListSize: 131_072 } },
  run: (field) => compareSizes(field, name),
});

export const handshakeAttacks: readonly Attack[] = [
  {
    name: "200 handshakes that arrive byte by byte and never end",
    answer: "408 after Node's `headersTimeout`, which `attach` leaves in force",
    bounds: { peakMiB: 24, cpuMs: 1500 },
    happens: {},
    onlyOver: "HTTP/1.1",
    http: IMPATIENT,
    run: async (field) => {
      const unfinished = Buffer.from(handshake({}, TARGET)).subarray(0, -2);
      await field.many(200, async () => {
        const client = await field.dial();
        for (const octet of unfinished.subarray(0, 60)) {
          client.send(Uint8Array.of(octet));
          await turn();
        }
        client.send(unfinished.subarray(60));
        expect((await client.answer()).status).toBe(408);
        expect(await client.ended).toBe("end");
      });
    },
  },
  {
    name: "200 upgrade requests with a body that arrives byte by byte and never ends",
    answer:
      "treats them as ordinary requests, never as WebSockets: 400 immediately, or 408 after Node's `requestTimeout`",
    bounds: { peakMiB: 32, cpuMs: 1500 },
    happens: {},
    requests: { "GET /ws/echo": 100, "POST /page": 100 },
    onlyOver: "HTTP/1.1",
    http: IMPATIENT,
    run: async (field) => {
      const body = { "Content-Length": "100000" };
      const asked = handshake(body, TARGET);
      const other = handshake({ ...body, Upgrade: "h2c" }, "POST /page HTTP/1.1");
      await field.many(200, async (i) => {
        const client = await field.dial();
        client.send(i % 2 === 0 ? asked : other);
        for (let octet = 0; octet < 50; octet++) {
          client.send("x");
          await turn();
        }
        expect((await client.answer()).status).toBe(i % 2 === 0 ? 400 : 408);
        expect(await client.ended).toBe("end");
      });
    },
  },
  {
    name: "100 handshakes with thousands of headers",
    answer:
      "400, because Node drops some headers unread and one of them might have announced a body; newer versions of Node answer 431 first",
    bounds: { peakMiB: 32, cpuMs: 2000 },
    happens: {},
    onlyOver: "HTTP/1.1",
    run: async (field) => {
      const request = handshake({ a: Array<string>(2500).fill("") }, TARGET);
      await field.many(100, async () => {
        const client = await field.dial();
        expect([400, 431]).toContain((await client.send(request).answer()).status);
        expect(await client.ended).toBe("end");
        await client.reset();
      });
    },
  },
  {
    name: "100 handshakes with a header of 100 KB",
    answer: "431 from Node's `maxHeaderSize` (16 KiB for all headers)",
    bounds: { peakMiB: 24, cpuMs: 1000 },
    happens: {},
    onlyOver: "HTTP/1.1",
    run: async (field) => {
      const request = handshake({ Cookie: "c".repeat(100_000) }, TARGET);
      await field.many(100, async () => {
        const client = await field.dial();
        client.send(request);
        // It may be reset before it has read the answer: most of what it sent is not read any more.
        const status = await client.head().then(
          (head) => head.status,
          () => 431,
        );
        expect(status).toBe(431);
        await client.reset();
      });
    },
  },
  linear("Sec-WebSocket-Extensions"),
  linear("Sec-WebSocket-Protocol"),
  linear("Connection"),
  linear("Origin"),
  {
    name: "a request that only looks like an upgrade: `Proxy-Connection: upgrade`",
    answer: "serves it once, as an ordinary request",
    bounds: { peakMiB: 24, cpuMs: 1000 },
    happens: {},
    requests: { "GET /page": 50 },
    onlyOver: "HTTP/1.1",
    run: async (field) => {
      const proxied = requestOf("GET /page HTTP/1.1", {
        Host: "a",
        Upgrade: "websocket",
        "Proxy-Connection": "upgrade",
      });
      await field.many(50, async () => {
        const client = await field.dial();
        expect((await client.send(proxied).answer()).status).toBe(200);
        await client.reset();
      });
    },
  },
];
