/** Attacks on the opening handshake. */
import { setImmediate as turn } from "node:timers/promises";
import { expect } from "vitest";
import { handshake, requestOf } from "../../support/raw-client.ts";
import type { Attack } from "../attack.ts";
import type { Field } from "../field.ts";

const TARGET = "GET /ws/echo HTTP/1.1";

/**
 * Short timeouts of Node: these attacks depend on real time, not on the sessions' clock. The timeouts are long enough
 * for a slow machine to send everything.
 */
const IMPATIENT = { headersTimeout: 1000, requestTimeout: 1000, connectionsCheckingInterval: 50 } as const;

/** What makes careless patterns and parsers backtrack. */
const SHAPES = {
  "Sec-WebSocket-Extensions": [",", "a;", "a=;", 'a="\\"', "a;b=", " \t", "permessage-deflate,", 'x="', "a; a=a", '"'],
  "Sec-WebSocket-Protocol": [",", "a,", "a ", " \t", "a\t,", "(", "a;"],
  Connection: [",", "upgrade ", "upgrade, ", " \t", "upgrade\t\t", ", \t", "upgradeupgrade,"],
  Origin: ["a", ":", "http://", "http://a.", "[", "@", "%41"],
} as const;

/** Sends handshakes with the header in two sizes, and records the ratio of their CPU times. */
const compareSizes = async (field: Field, name: keyof typeof SHAPES): Promise<void> => {
  const ask = async (shape: string, size: number, i: number): Promise<void> => {
    // The last character prevents a match at the end.
    const value = `${name === "Connection" ? "Upgrade, " : ""}a${shape.repeat(size / shape.length)}!`;
    // Every other request is for another protocol: over HTTP/1.1, other code handles it, and rewrites `Connection`.
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
    await long(); // the first run includes the compilation of the code
    const shorter = await field.time(3, short);
    const longer = await field.time(3, long);
    field.costs.growth = Math.max(field.costs.growth ?? 0, longer / Math.max(shorter, 2));
  }
};

const UNANSWERED_OFFER =
  'undefined: TypeError: a client offered the subprotocols "a", "!", but the route /ws/echo selected none: browsers and most ' +
  'other clients then fail the connection (ConnectionLost). List those that the route supports in the option "subprotocols", for example ["a", "!"] (WEBSOCK_NO_SUBPROTOCOL)';

const linear = (name: keyof typeof SHAPES): Attack => ({
  name: `the header ${name}, made to be expensive to parse`,
  answer: "parses it in one pass",
  bounds: { peakMiB: 96, cpuMs: 6000, growth: 16 },
  ...(name === "Connection" ? { onlyOver: "HTTP/1.1" } : {}),
  // It is reported once, however often and whatever clients offer.
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
        for (const byte of unfinished.subarray(0, 60)) {
          client.send(Uint8Array.of(byte));
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
        for (let sent = 0; sent < 50; sent++) {
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
        // The connection may be reset before the client has read the answer, because the server does not read the rest.
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
