/** The conformance suite's client over any byte stream, frame by frame. */
import { once } from "node:events";
import net, { type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { constants, inflateRawSync } from "node:zlib";
import type { ConformanceClient, Got } from "../../packages/websock-conformance/src/handlers/index.ts";
import { type Headers, handshake, RawClient } from "./raw-client.ts";
import { BINARY, CLOSE, CONTINUATION, closeFrame, type Frame, frame, PING, PONG, TEXT } from "./raw-frames.ts";

const OPCODES = { text: TEXT, binary: BINARY, ping: PING, pong: PONG } as const;

/**
 * The headers of a client that offers compression. Without context takeover, each message can be inflated by itself.
 */
export const compressionOffer = (offers: boolean | undefined): Readonly<Record<string, string>> =>
  offers ? { "sec-websocket-extensions": "permessage-deflate; server_no_context_takeover" } : {};

const RSV1 = 4;

/** RFC 7692 §7.2.2 */
const inflate = (payload: Buffer): Buffer =>
  inflateRawSync(Buffer.concat([payload, Buffer.from([0, 0, 0xff, 0xff])]), { finishFlush: constants.Z_SYNC_FLUSH });

/** What the suite receives for a frame; `undefined` if nothing. */
type Told = Got | undefined;

/** `drop` ends the stream without a closing handshake, as its protocol does that. */
export const conformanceClient = (stream: Duplex, drop: () => void): ConformanceClient => {
  const client = RawClient.of(stream as Socket);
  const got: Got[] = [];
  let wakeUp: () => void = () => undefined;
  let closeSent = false;
  let message: Frame | undefined;
  let pings = 0;

  const take = ({ opcode, payload, fin, rsv }: Frame): Told => {
    if (opcode === PONG) return ["pong", payload.toString("latin1")];
    if (opcode === PING) {
      client.send(frame(PONG, payload));
      pings++;
      return undefined;
    }
    if (opcode === CLOSE) {
      const code = payload.length === 0 ? undefined : payload.readUInt16BE();
      if (!closeSent) client.send(closeFrame(code));
      client.end();
      return ["close", code, payload.subarray(2).toString()];
    }
    const before = opcode === CONTINUATION ? message! : { opcode, rsv, payload: Buffer.alloc(0) };
    message = { ...before, fin, payload: Buffer.concat([before.payload, payload]) };
    if (!fin) return undefined;
    const data = message.rsv === RSV1 ? inflate(message.payload) : message.payload;
    return message.opcode === TEXT ? ["text", data.toString()] : ["binary", data.toString("latin1")];
  };

  const readAll = async (): Promise<void> => {
    for (let told: Told; told?.[0] !== "close" && told?.[0] !== "lost"; ) {
      told = await client.frame().then(take, (): Got => ["lost"]);
      if (told !== undefined) got.push(told);
      wakeUp();
    }
  };
  void readAll();

  return {
    next: async () => {
      while (got.length === 0) {
        await new Promise<void>((resolve) => {
          wakeUp = resolve;
        });
      }
      return got.shift()!;
    },
    send: (opcode, data) =>
      void client.send(frame(OPCODES[opcode], Buffer.from(data, opcode === "binary" ? "latin1" : "utf8"))),
    close: (code, text) => {
      closeSent = true;
      client.send(closeFrame(code, text));
    },
    drop,
    setReading: (reads) => void (reads ? stream.resume() : stream.pause()),
    get pings() {
      return pings;
    },
  };
};

/** Connects over HTTP/1.1. After the server's close frame, it does not wait for what the server does to the socket. */
export const connectRaw = async (port: number, path: string, headers: Headers = {}): Promise<ConformanceClient> => {
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.setNoDelay(true).write(handshake(headers, `GET ${path} HTTP/1.1`));
  let head = Buffer.alloc(0);
  while (!head.includes("\r\n\r\n")) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    head = Buffer.concat([head, chunk]);
    socket.pause();
  }
  const end = head.indexOf("\r\n\r\n") + 4;
  if (!head.toString("latin1").startsWith("HTTP/1.1 101 ")) throw new Error(`not accepted:\n${head}`);
  socket.unshift(head.subarray(end));
  // The socket is ended, not destroyed: a server whose socket is closed in both directions need not read the rest.
  const client = conformanceClient(socket, () => socket.end());
  socket.resume();
  return client;
};
