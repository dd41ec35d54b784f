/** Properties of the real server over real sockets: it answers correctly, stays alive, and releases connections. */
import assert from "node:assert/strict";
import { Buffer, isUtf8 } from "node:buffer";
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { constants, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { attach } from "../../src/adapters/node.ts";
import { DEFAULT_OPTIONS } from "../../src/options.ts";
import { ok, push } from "../../src/result.ts";
import { upgrade } from "../../src/upgrade.ts";
import type { WebSock } from "../../src/websock.ts";
import { frame, OP } from "../support/client-frames.ts";
import { fuzz } from "../support/fuzz.ts";
import { handshake } from "../support/raw-client.ts";
import { referenceParse } from "./reference-parser.ts";
import { strayErrors } from "./stray.ts";
import { anyStream, change, changed, compressed, noise, type Split, split, splitBy } from "./streams.ts";

const Echo: WebSock<undefined, null> = { init: () => ok(null), handleIn: (message) => push(message, null) };

interface Visit {
  /** The upgrade request as bytes; `undefined`: a valid one. */
  readonly head: Uint8Array | undefined;
  readonly frames: Uint8Array;
  readonly split: Split;
  readonly ending: "end" | "reset";
  /** Whether the request is validated by `upgrade` or when the upgrade is performed; whether compression is offered. */
  readonly path: "/" | "/late" | "/deflate";
}

const soundHead = (path: string): Buffer => {
  const offer = path === "/deflate" ? { "Sec-WebSocket-Extensions": "permessage-deflate" } : {};
  return Buffer.from(handshake(offer, `GET ${path} HTTP/1.1`));
};

const headers = fc.constantFrom(
  { "Sec-WebSocket-Protocol": "a, b" },
  { "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits" },
  { Origin: "http://localhost", Cookie: "a=b" },
  { "Content-Length": "5" },
  { "Transfer-Encoding": "chunked" },
  { Upgrade: "h2c" },
  {},
);

/** Requests that are nearly valid upgrade requests, alone or pipelined behind others. */
const head = fc.oneof(
  fc.tuple(headers, change).map(([headers, how]) => changed(Buffer.from(handshake(headers)), how)),
  headers.map((headers) => Buffer.from(handshake(headers))),
  fc
    .tuple(headers, fc.constantFrom("GET /plain HTTP/1.1", "POST / HTTP/1.1", "GET / HTTP/1.0", "PRI * HTTP/2.0"))
    .map(([headers, line]) => Buffer.from(handshake({ Connection: undefined }, line) + handshake(headers))),
  noise,
);

const visit: fc.Arbitrary<Visit> = fc.record({
  head: fc.option(head, { nil: undefined }),
  frames: anyStream,
  split: fc.oneof(split, fc.constant({ cuts: [] })),
  ending: fc.oneof({ weight: 5, arbitrary: fc.constant("end" as const) }, fc.constant("reset" as const)),
  path: fc.constantFrom("/", "/late", "/deflate"),
});

/** Limits the number of chunks, which cost time. */
const MAX_CHUNKS = 30;

/** Sends everything, and resolves with the received bytes once the connection is closed. */
const pay = async (port: number, { head, frames, split, ending, path }: Visit): Promise<Buffer> => {
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
  const received: Buffer[] = [];
  socket.on("data", (chunk) => received.push(chunk)).on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  await once(socket, "connect");
  const pieces = splitBy(Buffer.concat([head ?? soundHead(path), frames]), split);
  for (const piece of [...pieces.slice(0, MAX_CHUNKS), Buffer.concat(pieces.slice(MAX_CHUNKS))]) {
    if (socket.destroyed) break;
    socket.write(piece);
    await new Promise(setImmediate);
  }
  if (ending === "reset") socket.resetAndDestroy();
  else socket.end();
  await closed;
  return Buffer.concat(received);
};

/** The complete frames of a server as `opcode payload`, inflated; a close frame without its text. */
const framesOf = (bytes: Buffer, isCompressed = false): string[] => {
  const frames: string[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [first, short] = [bytes[at]!, bytes[at + 1]!];
    const isMarked = isCompressed && (first === 0xc1 || first === 0xc2);
    assert.ok(isMarked || [0x81, 0x82, 0x88, 0x89, 0x8a].includes(first), `a frame that begins with ${first}`);
    assert.ok(short < 128, "a server's frame is masked");
    assert.ok(!frames.some((frame) => frame.startsWith("8 ")), "something comes after the close frame");
    const start = at + (short < 126 ? 2 : short === 126 ? 4 : 10);
    if (start > bytes.length) break;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    if (start + length > bytes.length) break;
    const payload = bytes.subarray(start, first === 0x88 ? start + Math.min(length, 2) : start + length);
    const data = isMarked ? inflate(payload) : payload;
    assert.notEqual(data, undefined, "a message that can't be inflated");
    frames.push(`${first & 15} ${data!.toString("hex")}`);
    at = start + length;
  }
  return frames;
};

/** Inflates a message that was compressed without context takeover. */
const inflate = (payload: Uint8Array): Buffer | undefined => {
  try {
    return inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), {
      finishFlush: constants.Z_SYNC_FLUSH,
    });
  } catch {
    return undefined;
  }
};

/** The answers of an echo to these frames, as far as they can be predicted. */
const expectedFrames = (frames: Uint8Array, isCompressed: boolean): string[] => {
  const expected: string[] = [];
  const close = (code: number | undefined): string =>
    `8 ${code === undefined ? "" : code.toString(16).padStart(4, "0")}`;
  for (const event of referenceParse(frames, DEFAULT_OPTIONS, isCompressed)) {
    if (event[0] === "error") return [...expected, close(event[1])];
    if (event[0] === "close") return [...expected, close(event[1].code)];
    if (event[0] === "compressed") {
      const data = inflate(event[2]);
      // Corrupted data may still inflate to something: the answer is not predicted.
      if (data === undefined || (event[1] === 1 && !isUtf8(data)) || !isSameAgain(data, event[2])) return [...expected, UNKNOWN]; // biome-ignore format: one line
      expected.push(`${event[1]} ${data.toString("hex")}`);
      continue;
    }
    const { opcode, data } = event[1];
    if (opcode !== "pong") expected.push(`${opcode === "ping" ? 10 : OP[opcode]} ${Buffer.from(data).toString("hex")}`);
  }
  return expected;
};

/** The answers from here on are not predicted. */
const UNKNOWN = "?";

const isSameAgain = (data: Uint8Array, payload: Uint8Array): boolean => Buffer.compare(compressed(data), payload) === 0;

const checkAnswer = (answer: Buffer, { head, frames, ending, path }: Visit): void => {
  // A reset may come before the answer.
  if (answer.length === 0) {
    assert.ok(head !== undefined || ending === "reset", "no answer");
    return;
  }
  const text = answer.toString("latin1");
  assert.match(text, /^HTTP\/1\.1 \d{3} /);
  if (!text.startsWith("HTTP/1.1 101 ")) {
    assert.ok(head !== undefined, "a valid handshake is refused");
    return;
  }
  const end = text.indexOf("\r\n\r\n") + 4;
  const isCompressed = /^sec-websocket-extensions: permessage-deflate/im.test(text.slice(0, end));
  const got = framesOf(answer.subarray(end), isCompressed);
  if (head !== undefined) return;
  assert.ok(!isCompressed || path === "/deflate", "compression that the client did not offer");
  const expected = expectedFrames(frames, isCompressed);
  const known = expected.indexOf(UNKNOWN) === -1 ? got.length : expected.indexOf(UNKNOWN);
  // If the client ends the connection prematurely, answers may be lost.
  assert.deepEqual(got.slice(0, known), expected.slice(0, Math.min(known, got.length)));
};

const withServer = async (run: (port: number) => Promise<void>): Promise<void> => {
  const errors: unknown[] = [];
  const server = http.createServer((request, response) => {
    if (request.url === "/plain") response.end("plain");
    else
      upgrade(request, Echo, undefined, {
        earlyValidateUpgrade: request.url !== "/late",
        compress: { threshold: 0 },
        // Otherwise the option would have no effect, which is reported.
        subprotocols: ([first]) => first,
      });
  });
  const sockets = attach(server, { onError: (error) => errors.push(error) });
  await once(server.listen(0, "127.0.0.1"), "listening");
  try {
    await run((server.address() as AddressInfo).port);
    while (sockets.connections > 0) await new Promise(setImmediate);
  } finally {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }
  assert.deepEqual(errors, [], "an error was reported");
  assert.deepEqual(strayErrors(), [], "an error reached the process");
};

export const servers = [
  fuzz(
    "servers: answer correctly, stay alive and release connections, for any upgrade request and frames",
    { runs: 120, share: 3 },
    fc.asyncProperty(fc.array(visit, { minLength: 1, maxLength: 3 }), (visits) =>
      withServer(async (port) => {
        const answers = await Promise.all(visits.map((visit) => pay(port, visit)));
        for (const [i, answer] of answers.entries()) checkAnswer(answer, visits[i]!);
        // The next connection is served normally.
        const hello = frame({ opcode: OP.text, payload: "still here" });
        const bye = frame({ opcode: OP.close, payload: Uint8Array.of(3, 232) });
        const sane: Visit = { head: undefined, frames: Buffer.concat([hello, bye]), split: { cuts: [] }, ending: "end", path: "/" }; // biome-ignore format: one line
        assert.deepEqual(framesOf(afterHead(await pay(port, sane))), [
          `1 ${Buffer.from("still here").toString("hex")}`,
          "8 03e8",
        ]);
      }),
    ),
  ),
];

const afterHead = (answer: Buffer): Buffer => answer.subarray(answer.indexOf("\r\n\r\n") + 4);
