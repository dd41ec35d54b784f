/** Tests of joining `IoData`. */
import { expect, test } from "vitest";
import { nodeByteOps } from "../../../src/adapters/shared/node-byte-ops.ts";
import { joinOctets, joinText } from "../../../src/adapters/shared/outbound.ts";
import type { IoData } from "../../../src/message.ts";
import { ioLength } from "../../../src/protocol/io-data.ts";

const octets = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

test.each<[string, IoData]>([
  ["a string", "héllo"],
  ["octets", octets("héllo")],
  ["a view on a part of a buffer", octets("xxhélloxx").subarray(2, 8)],
  ["an ArrayBuffer", octets("héllo").buffer],
  ["a list of strings", ["h", "é", "llo"]],
  ["nested lists of all kinds", ["h", [octets("é"), []], octets("llo").buffer]],
])("%s in one piece", (_what, data) => {
  const size = ioLength(data);
  expect(size).toBe(6);
  expect(joinText(data, size, nodeByteOps)).toBe("héllo");
  expect([...joinOctets(data, size, nodeByteOps)]).toEqual([...octets("héllo")]);
});
