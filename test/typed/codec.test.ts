/** Codecs: JSON, MessagePack, and one of the application. What is encoded is decoded to the same. */
import { decode, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { expect, test } from "vitest";
import { connect } from "websock-js/testing";
import { encoder, type MessageCodec, ok, push, typed } from "websock-js/typed";
import { z } from "zod";
import { anything } from "./schemas.ts";

const messagePack: MessageCodec = { opcode: "binary", encode, decode };
const lines: MessageCodec = {
  opcode: "text",
  encode: (value) => `v1 ${JSON.stringify(value)}`,
  decode: (data) => JSON.parse(data.replace(/^v1 /, "")),
};
const codecs: readonly [name: string, codec: MessageCodec | undefined, opcode: string][] = [
  ["JSON", undefined, "text"],
  ["MessagePack", messagePack, "binary"],
  ["one of the application", lines, "text"],
];

test.each(codecs)("%s: what is encoded is decoded to the same", async (_name, codec, opcode) => {
  const seen: unknown[] = [];
  const Echo = typed(
    { in: anything, out: anything, codec },
    {
      init: () => ok(0),
      handleIn: (message, n) => {
        seen.push(message);
        return push(message, n);
      },
    },
  );
  const encodeMessage = encoder(anything, codec);
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (drawn) => {
      // JSON has no -0.
      const json = JSON.stringify(drawn);
      // The library for MessagePack refuses this key.
      fc.pre(codec !== messagePack || !json.includes('"__proto__":'));
      const value = JSON.parse(json);
      const client = await connect(Echo);
      const message = encodeMessage(value);
      client.send(message.data as string | Uint8Array);
      const answer = await client.receive();
      expect([message.opcode, answer.opcode]).toEqual([opcode, opcode]);
      expect(answer.data).toEqual(
        typeof message.data === "string" ? message.data : Uint8Array.from(message.data as Uint8Array),
      );
      expect(seen.pop()).toEqual(value);
    }),
  );
});

const thrown = (): never => {
  throw "expected";
};

test.each<[string, MessageCodec | undefined, string | Uint8Array]>([
  ["JSON, binary", undefined, new Uint8Array([0x31])],
  ["MessagePack, text", messagePack, "1"],
  ["MessagePack, half of a value", messagePack, encode({ n: 1 }).slice(0, -1)],
  ["MessagePack, two values", messagePack, new Uint8Array([1, 1])],
  ["one that throws no Error", { ...lines, decode: thrown }, "1"],
])("%s: what cannot be decoded is an invalid message", async (_name, codec, data) => {
  const client = await connect(
    typed({ in: anything, out: anything, codec }, { init: () => ok(0), handleIn: (_message, n) => ok(n) }),
  );
  client.send(data);
  expect(await client.ended).toMatchObject({ code: 1007, text: "invalid message" });
  expect(client.errors).toEqual([]);
});

test("an encoder that throws is an error of the handler", async () => {
  const Big = typed(
    { in: anything, out: anything },
    { init: () => ok(0), handleIn: (_message, n) => push({ n: 1n }, n) },
  );
  const client = await connect(Big);
  client.send("1");
  expect((await client.ended).code).toBe(1011);
  expect(client.errors).toHaveLength(1);
});

test("bytes in a schema are sent with MessagePack", async () => {
  const File = z.object({ name: z.string(), bytes: z.instanceof(Uint8Array) });
  const Files = typed(
    { in: File, out: File, codec: messagePack },
    { init: () => ok(0), handleIn: ({ name, bytes }, n) => push({ name, bytes: bytes.toReversed() }, n) },
  );
  const client = await connect(Files);
  client.send(encode({ name: "a", bytes: new Uint8Array([1, 2]) }));
  const { data } = await client.receive();
  expect(decode(data as Uint8Array)).toEqual({ name: "a", bytes: new Uint8Array([2, 1]) });
});

test("a codec may be a class instance", async () => {
  class Codec {
    readonly opcode = "text";
    readonly #prefix = "v1 ";
    encode(value: unknown) {
      return this.#prefix + JSON.stringify(value);
    }
    decode(data: string): unknown {
      return JSON.parse(data.slice(this.#prefix.length));
    }
  }
  const Echo = typed(
    { in: anything, out: anything, codec: new Codec() },
    { init: () => ok(0), handleIn: (message, n) => push(message, n) },
  );
  const client = await connect(Echo);
  client.send("v1 [1]");
  await client.settled();
  expect(client.received).toEqual([{ opcode: "text", data: "v1 [1]" }]);
});

test("a codec that decodes asynchronously is an error of the handler, whatever the client sends", async () => {
  const codec = { opcode: "text", encode: JSON.stringify, decode: async (data: string) => JSON.parse(data) } as const;
  const Echo = typed({ in: anything, out: anything, codec }, { init: () => ok(0), handleIn: (_message, n) => ok(n) });
  const client = await connect(Echo);
  client.send("{");
  expect((await client.ended).code).toBe(1011);
  expect(client.errors.map(String)).toEqual([expect.stringMatching(/"decode" of the codec must not return a promise/)]);
});

test.each([
  ["text", () => undefined as never, "a string, not undefined"],
  ["text", () => new Uint8Array() as never, "a string, not a Uint8Array"],
  ["binary", async () => new Uint8Array(), "a Uint8Array, not a Promise"],
] as const)("a codec for %s that encodes to something else", (opcode, encode, message) => {
  const codec = { opcode, encode, decode: (data: unknown) => data } as unknown as MessageCodec;
  expect(() => encoder(anything, codec)({})).toThrow(`"encode" of the codec must return ${message}`);
});
