/**
 * The cases about permessage-deflate, run against `ws`, an independent implementation: it confirms that the cases are correct. Its
 * known deviations were checked by hand against the RFC.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { http1Target, runCases, selectCases, wireClasses } from "websock-conformance";
import { WebSocketServer } from "ws";

/** RFC 7692 §7.1: the offer must be declined. `ws` refuses the handshake, and accepts every value that `Number()` accepts. */
const DECLINES = /^12\.(7|8|9)\.\d+$/;
const REFUSES_ALL_OFFERS = ["12.6.5", "12.6.6", "12.6.7"];
/** `ws` ignores the data after a block with BFINAL (§7.2.1), and loses the context there. */
const LAST_BLOCKS = ["13.16.11", "13.16.12", "13.16.14"];
/** Cases that the RFC does not decide. */
const SILENT = /^14\.6\.\d+$/;

let server: http.Server;
let url: string;

beforeAll(async () => {
  server = http.createServer((_, response) => response.writeHead(426).end());
  const sockets = new WebSocketServer({ server, perMessageDeflate: { threshold: 0 }, maxPayload: 32 * 1024 * 1024 });
  sockets.on("connection", (socket) => {
    socket.on("error", () => undefined);
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterAll(() => {
  server.close();
});

test("ws passes the cases about compression, except for known deviations", { timeout: 240_000 }, async () => {
  const generous = { timeout: 60_000, patience: 60_000 };
  const target = http1Target(url, generous);
  const results = await runCases(selectCases(wireClasses, target, ["12.*", "13.*", "14.*"]), target, generous);
  const known = (id: string): boolean =>
    DECLINES.test(id) || SILENT.test(id) || [...REFUSES_ALL_OFFERS, ...LAST_BLOCKS].includes(id);
  expect(results.filter(({ id, outcome }) => outcome !== "ok" && !known(id))).toEqual([]);
  const outcomeOf = (wanted: string): string => results.find(({ id }) => id === wanted)!.outcome;
  for (const id of [...REFUSES_ALL_OFFERS, ...LAST_BLOCKS]) expect([id, outcomeOf(id)]).toEqual([id, "failed"]);
  expect(results.filter(({ outcome }) => outcome === "unimplemented")).toEqual([]);
});
