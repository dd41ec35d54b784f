/**
 * A small echo server that passes every case. It can be given one flaw at a time, which the cases must find.
 */
import { once } from "node:events";
import net from "node:net";
import type { Duplex } from "node:stream";
import { Deflate } from "../src/deflate.ts";
import type { DeflateParams } from "../src/negotiation.ts";
import { answerTo, type Flaw, type Flaws } from "./tiny-handshake.ts";

export type { Flaw };

class Broken extends Error {
  readonly code: number;

  constructor(code: number) {
    super();
    this.code = code;
  }
}

interface Head {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly key: Buffer | undefined;
  readonly length: number;
  taken: number;
}

export class Connection {
  private readonly socket: Duplex;
  private readonly has: Flaws;
  private readonly deflate: Deflate | undefined;
  private readonly params: DeflateParams | undefined;
  private input: Buffer = Buffer.alloc(0);
  private head: Head | undefined;
  private message: { opcode: number; compressed: boolean; parts: Buffer[]; decoder: TextDecoder } | undefined;
  private control: Buffer[] = [];
  private heldPongs: Buffer[] = [];
  private heldMessage: [number, Buffer] | undefined;
  private over = false;

  constructor(socket: Duplex, has: Flaws, params: DeflateParams | undefined) {
    this.socket = socket;
    this.has = has;
    this.params = params;
    // The suite's own codec, with client and server swapped.
    this.deflate =
      params &&
      new Deflate({
        serverNoContextTakeover: params.clientNoContextTakeover || has("forgets its context"),
        clientNoContextTakeover: params.serverNoContextTakeover && !has("takeover despite no_context_takeover"),
        serverMaxWindowBits: params.clientMaxWindowBits,
        clientMaxWindowBits: has("larger window than agreed") ? 15 : params.serverMaxWindowBits,
      });
  }

  feed(chunk: Buffer): void {
    if (this.over && !this.has("echoes after close") && !this.has("pongs after close")) return;
    this.input = this.input.length === 0 ? chunk : Buffer.concat([this.input, chunk]);
    try {
      while (this.head === undefined ? this.readHead() : this.readPayload());
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      this.over = true;
      if (this.has("fails without a close frame")) this.socket.end();
      else this.close(this.has("always 1000") ? 1000 : error.code);
    }
    if (this.has("one pong for a burst")) for (const held of this.heldPongs.splice(0).slice(-1)) this.send(10, held);
  }

  private readHead(): boolean {
    const { input, has } = this;
    if (input.length < 2) return has("headers in one chunk only") ? this.drop() : false;
    const [first, second] = [input[0]!, input[1]!];
    const opcode = first & 15;
    const rsv = (first >> 4) & 7;
    const short = second & 127;
    const isControl = opcode >= 8;
    const rsvAllowed =
      has("ignores RSV") ||
      (has("ignores RSV on control frames") && isControl) ||
      (rsv === 4 && this.params && (opcode === 1 || opcode === 2 || (opcode === 0 && has("RSV1 on continuations"))));
    if (rsv !== 0 && !rsvAllowed) throw new Broken(1002);
    if (second < 128 && !has("accepts unmasked")) throw new Broken(1002);
    if (((opcode > 2 && opcode < 8) || opcode > 10) && !has("ignores reserved opcodes")) throw new Broken(1002);
    if (isControl && first < 128 && !has("accepts fragmented control frames")) throw new Broken(1002);
    if (isControl && short > 125 && !has("accepts long control frames")) throw new Broken(1002);
    if (opcode === 0 && !this.message && !has("accepts stray continuations")) throw new Broken(1002);
    if ((opcode === 1 || opcode === 2) && this.message && !has("joins interleaved messages")) throw new Broken(1002);

    const bits = short < 126 ? 0 : short === 126 ? 2 : 8;
    const size = 2 + bits + (second < 128 ? 0 : 4);
    if (input.length < size) return has("headers in one chunk only") ? this.drop() : false;
    const length = bits === 0 ? short : bits === 2 ? input.readUInt16BE(2) : Number(input.readBigUInt64BE(2));
    if (bits > 0 && length < (bits === 2 ? 126 : 65_536) && !has("accepts any length coding")) throw new Broken(1002);
    if (bits === 8 && input[2]! & 128) throw new Broken(1002);
    if (length > (has("small limit") ? 1_000_000 : 32 * 1024 * 1024)) throw new Broken(1009);
    const key = second < 128 ? undefined : Buffer.from(input.subarray(size - 4, size));
    this.head = { fin: first >= 128, rsv, opcode, key, length, taken: 0 };
    this.input = input.subarray(size);
    if (opcode === 1 || opcode === 2) {
      if (this.message === undefined || !has("joins interleaved messages")) {
        this.message = {
          opcode,
          compressed: rsv === 4 && this.params !== undefined,
          parts: [],
          decoder: this.decoder(),
        };
      }
    }
    return true;
  }

  private drop(): false {
    this.input = Buffer.alloc(0);
    return false;
  }

  private decoder(): TextDecoder {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  }

  private readPayload(): boolean {
    const head = this.head!;
    const bytes = Buffer.from(this.input.subarray(0, head.length - head.taken));
    this.input = this.input.subarray(bytes.length);
    const at = this.has("mask restarts with each chunk") ? 0 : head.taken;
    if (head.key) for (let i = 0; i < bytes.length; i++) bytes[i] = bytes[i]! ^ head.key[(at + i) & 3]!;
    head.taken += bytes.length;
    const complete = head.taken === head.length;
    if (head.opcode >= 8) this.control.push(bytes);
    else if (head.opcode < 3) this.data(bytes, complete && head.fin, complete);
    if (!complete) return false;
    this.head = undefined;
    if (head.opcode >= 8) this.onControl(head.opcode, Buffer.concat(this.control.splice(0)));
    return true;
  }

  private data(bytes: Buffer, last: boolean, endOfFrame: boolean): void {
    const { message } = this;
    if (message === undefined) return; // a stray continuation
    message.parts.push(bytes);
    if (message.opcode === 1 && !message.compressed) this.validate(message, bytes, last, endOfFrame);
    if (!last || (this.has("loses empty fragments' FIN") && bytes.length === 0 && message.parts.length > 1)) return;
    this.message = undefined;
    this.onMessage(message.opcode, this.contentOf(message));
    for (const held of this.heldPongs.splice(0)) this.send(10, held);
  }

  private validate(
    message: NonNullable<Connection["message"]>,
    bytes: Buffer,
    last: boolean,
    endOfFrame: boolean,
  ): void {
    const { has } = this;
    if (has("accepts invalid UTF-8") || has("replaces invalid UTF-8")) return;
    let due = bytes;
    if (has("UTF-8 at the end of the message") || has("UTF-8 at the end of the frame")) {
      if (has("UTF-8 at the end of the message") ? !last : !endOfFrame) return;
      due = Buffer.concat(message.parts);
      message.decoder = this.decoder();
    }
    if (has("accepts surrogates"))
      due = Buffer.from(due.toString("latin1").replaceAll(/\xed[\xa0-\xbf]/g, "\xed\x80"), "latin1");
    try {
      message.decoder.decode(due, { stream: !last || has("accepts incomplete UTF-8") });
    } catch {
      throw new Broken(1007);
    }
  }

  private contentOf({ opcode, compressed, parts }: NonNullable<Connection["message"]>): Buffer {
    const whole = Buffer.concat(parts);
    if (!compressed) return this.has("replaces invalid UTF-8") && opcode === 1 ? Buffer.from(whole.toString()) : whole;
    try {
      const block =
        this.has("stops at a last block") && whole[0] === 1
          ? Buffer.concat([whole.subarray(0, 8), Buffer.alloc(1)])
          : whole;
      const inflated = this.deflate!.inflate(block);
      if (opcode === 1 && !this.has("compressed text is not checked")) this.decoder().decode(inflated);
      return inflated;
    } catch {
      if (this.has("passes corrupt data")) return Buffer.from("?");
      throw new Broken(1007);
    }
  }

  private onMessage(opcode: number, content: Buffer): void {
    if (this.over && !this.has("echoes after close")) return;
    if (content.length === 0 && this.has("drops empty messages")) return;
    if (this.has("wrong byte") && content.length > 0) content[content.length - 1]! ^= 1;
    if (this.has("swaps messages") && this.heldMessage === undefined && this.input.length > 0) {
      this.heldMessage = [opcode, content];
      return;
    }
    this.sendMessage(this.has("text as binary") ? 2 : opcode, content);
    if (this.has("echoes twice")) this.sendMessage(opcode, content);
    if (this.heldMessage) this.sendMessage(...this.heldMessage);
    this.heldMessage = undefined;
  }

  private onControl(opcode: number, payload: Buffer): void {
    const { has } = this;
    if (opcode === 9) {
      if (has("no pong") || (this.over && !has("pongs after close"))) return;
      if ((has("late pong") && this.message) || has("one pong for a burst")) this.heldPongs.push(payload);
      else this.send(10, has("empty pong") ? Buffer.alloc(0) : payload);
    } else if (opcode === 10) {
      if (has("answers pongs") && !this.over) this.send(10, payload);
    } else if (opcode === 8 && !this.over) {
      this.onClose(payload);
    }
  }

  private onClose(payload: Buffer): void {
    const { has } = this;
    if (payload.length === 1 && !has("accepts a close frame of one byte")) throw new Broken(1002);
    const code = payload.length > 1 ? payload.readUInt16BE() : undefined;
    const registered =
      code === undefined ||
      (code >= 1000 && code < 1015 && (code < 1004 || code > 1006)) ||
      (code >= 3000 && code < 5000);
    if (!registered && !(code === 1005 && has("accepts 1005")) && !(code > 1015 && has("accepts undefined codes")))
      throw new Broken(1002);
    if (!has("accepts invalid reasons")) {
      try {
        this.decoder().decode(payload.subarray(2));
      } catch {
        throw new Broken(1007);
      }
    }
    this.over = true;
    // The server may not send an unregistered code: it answers such a code with a registered one.
    if (has("no close frame")) this.socket.end();
    else this.close(registered || code === 1005 ? code : 1000);
  }

  private close(code: number | undefined): void {
    this.send(8, code === undefined ? Buffer.alloc(0) : Buffer.from([code >> 8, code & 255]));
    if (this.has("sends after its close frame")) this.send(1, Buffer.from("one more thing"));
    if (this.has("never closes")) return;
    // With these flaws, the server still answers the rest of the chunk.
    if (this.has("echoes after close") || this.has("pongs after close")) setImmediate(() => this.socket.end());
    else this.socket.end();
  }

  private sendMessage(opcode: number, content: Buffer): void {
    if (this.deflate) this.send(opcode, this.deflate.compress(content), 4);
    else if (this.has("compresses without negotiation")) this.send(opcode, content, 4);
    else this.send(opcode, content, this.has("reserved bit") ? 1 : 0);
  }

  private send(opcode: number, payload: Buffer, rsv = 0): void {
    const { length } = payload;
    const short = length < (this.has("16-bit length at 125") ? 125 : 126);
    const medium = length < (this.has("64-bit length at 65535") ? 65_535 : 65_536);
    const head = Buffer.alloc(short ? 2 : medium ? 4 : 10);
    head[0] = 128 | (rsv << 4) | opcode;
    head[1] = (this.has("masks") ? 128 : 0) | (short ? length : medium ? 126 : 127);
    if (head.length === 4) head.writeUInt16BE(length, 2);
    if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
    if (this.has("masks")) this.socket.write(Buffer.concat([head, Buffer.alloc(4), payload]));
    else this.socket.write(Buffer.concat([head, payload]));
  }
}

/** Listens on loopback. */
export const tinyServer = async (...flaws: readonly Flaw[]): Promise<{ url: string; close(): void }> => {
  const has = (flaw: Flaw): boolean => flaws.includes(flaw);
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.on("end", () => !has("half-open") && socket.end());
    let head = Buffer.alloc(0);
    let connection: Connection | undefined;
    socket.on("data", (chunk: Buffer) => {
      if (connection) return connection.feed(chunk);
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end === -1) return;
      const { answer, params, open } = answerTo(head.toString("latin1", 0, end), has);
      socket.write(answer);
      if (!open) return void socket.end();
      connection = new Connection(socket, has, params);
      if (head.length > end + 4) connection.feed(head.subarray(end + 4));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `ws://127.0.0.1:${(server.address() as net.AddressInfo).port}/`,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
};
