/** Bombs for permessage-deflate (RFC 7692): small compressed messages that become very large. */
import { constants, deflateRawSync } from "node:zlib";
import { expect } from "vitest";
import { BINARY, CONTINUATION, closeFrame, frame } from "../../support/raw-frames.ts";
import type { Attack } from "../attack.ts";
import { type Client, type Field, MiB } from "../field.ts";

export const OFFER = { "Sec-WebSocket-Extensions": "permessage-deflate; client_no_context_takeover" } as const;

export const RSV1 = 4;

/** `mebibytes` MiB of zeros, compressed. Only one MiB is compressed, and its bytes are repeated, which is fast. */
export const bomb = (mebibytes: number): Buffer => {
  // After a full flush, the compressor does not refer to earlier data, so the same bytes can be repeated.
  const one = deflateRawSync(Buffer.alloc(MiB), { finishFlush: constants.Z_FULL_FLUSH });
  // RFC 7692 §7.2.1: the final 00 00 ff ff is removed.
  return Buffer.alloc(one.length * mebibytes, one).subarray(0, -4);
};

/** 1 GiB in one frame of about 1 MiB. */
export const single = (client: Client): void => {
  client.send(frame(BINARY, bomb(1024), { rsv: RSV1 }));
};

/** The same in a thousand fragments, of which only the first has the bit RSV1 (§6.1). */
export const fragmented = (client: Client): void => {
  const whole = bomb(1024);
  const size = Math.ceil(whole.length / 1000);
  client.send(frame(BINARY, whole.subarray(0, size), { fin: false, rsv: RSV1 }));
  for (let at = size; at < whole.length; at += size) {
    client.send(frame(CONTINUATION, whole.subarray(at, at + size), { fin: at + size >= whole.length }));
  }
};

export const SMALL_BOMBS = 40;

/** Each is nearly as large as a message may be, and all of them are sent in one write. */
export const manySmall = (client: Client): void => {
  client.send(...Array<Buffer>(SMALL_BOMBS).fill(frame(BINARY, bomb(9), { rsv: RSV1 })), closeFrame(1000));
};

const connect = (field: Field, handler: string): Promise<Client> => field.connect(handler, { compress: true }, OFFER);

const tooBig = (name: string, send: (client: Client) => void): Attack => ({
  name,
  answer: "stops inflating at `maxMessageSize`: 1009",
  bounds: { peakMiB: 48, cpuMs: 1500 },
  happens: { init: 1, ProtocolError: 1 },
  run: async (field) => {
    const client = await connect(field, "echo");
    send(client);
    expect(await client.closeCode()).toBe(1009);
    await client.reset();
  },
});

export const inflationAttacks: readonly Attack[] = [
  tooBig("1 GiB of zeros in one compressed message of 1 MB", single),
  tooBig("1 GiB of zeros in one compressed message of a thousand fragments", fragmented),
  {
    name: "40 compressed messages in one write, of 9 KB each, that become 9 MiB each",
    answer: "inflates them one after the other, as the handler handles them",
    bounds: { peakMiB: 120, cpuMs: 6000 },
    happens: { init: 1, remote: 1 },
    run: async (field) => {
      const client = await connect(field, "sink");
      manySmall(client);
      expect(await client.closeCode()).toBe(1000);
      await client.reset();
    },
  },
];
