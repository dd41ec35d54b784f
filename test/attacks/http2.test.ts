import { expect, test } from "vitest";
import { testDocumentedAttacks } from "./documented.ts";
import { http2, http2OverTls } from "./http2.ts";
import { attacksOver } from "./rows/index.ts";

testDocumentedAttacks(http2, attacksOver(http2));

/** The attacks that run over TLS as well: those on memory and backpressure, because TLS has buffers of its own. */
const OVER_TLS = [
  "200 resets in the middle of a message",
  "200 messages that never end: 10 MB announced, 1 KB sent",
  "128 MiB of messages to an echo from a peer that does not read",
  "512 MiB pushed to a peer that does not read",
];

const overTls = attacksOver(http2OverTls).filter(({ name }) => OVER_TLS.includes(name));

testDocumentedAttacks(http2OverTls, overTls);

test("the attacks that run over TLS exist", () => {
  expect(overTls.map(({ name }) => name).sort()).toEqual([...OVER_TLS].sort());
});
