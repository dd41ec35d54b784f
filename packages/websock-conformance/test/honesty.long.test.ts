/** The suite finds nothing wrong with a valid server, and finds each flaw of a broken one, in the case for that flaw. */
import { describe, expect, onTestFinished, test } from "vitest";
import { http1Target, http2Target, type Outcome, runCases, selectCases, wireClasses } from "../src/index.ts";
import type { Http2Flaw } from "./tiny-handshake.ts";
import { tinyHttp2Server } from "./tiny-http2.ts";
import { type Flaw, tinyServer } from "./tiny-server.ts";

/** The cases that must find a flaw (and some that must not), with their outcomes and reasons. */
type Found = readonly (readonly [id: string, outcome: Outcome, reason: RegExp])[];

const FLAWS: Record<Exclude<Flaw, Http2Flaw>, Found> = {
  "wrong byte": [
    ["1.1.2", "failed", /first difference at byte 0/],
    ["1.2.16", "failed", /first difference at byte 65536/],
  ],
  masks: [["1.1.1", "failed", /a masked frame/]],
  "text as binary": [["1.1.1", "failed", /expected text of 0 bytes, got binary/]],
  "drops empty messages": [["1.1.1", "failed", /expected text of 0 bytes, got close 1000|waited/]],
  "echoes twice": [["1.1.4", "failed", /expected the answer to the client's close frame, got text/]],
  "swaps messages": [["1.8.3", "failed", /expected text of 0 bytes, got text of 1/]],
  "64-bit length at 65535": [["1.1.14", "failed", /shortest form/]],
  "16-bit length at 125": [["1.1.5", "failed", /shortest form/]],
  "reserved bit": [["1.1.1", "failed", /reserved bits that were not negotiated/]],
  "ignores RSV": [
    ["3.1.4", "failed", /got text/],
    ["3.6.1", "failed", /got text/],
    ["3.1.1", "failed", /got text/],
  ],
  "ignores RSV on control frames": [
    ["3.8.1", "failed", /got pong/],
    ["14.1.4", "failed", /got pong/],
    ["3.10.1", "non-strict", /close 1000 instead/],
  ],
  "accepts unmasked": [["10.1.1", "failed", /got text/]],
  "ignores reserved opcodes": [
    ["4.1.1", "failed", /continues/],
    ["4.4.1", "failed", /got pong/],
  ],
  "accepts any length coding": [
    ["10.3.1", "non-strict", /shortest form/],
    ["10.3.8", "non-strict", /shortest form/],
  ],
  "headers in one chunk only": [
    // The kernel decides how the bytes are split into chunks.
    ["1.3.2", "failed", /waited|close 1002/],
    ["1.7.1", "failed", /./],
  ],
  "mask restarts with each chunk": [
    ["1.3.4", "failed", /first difference|close 1007/],
    ["10.2.5", "failed", /first difference|close 1007/],
  ],
  "small limit": [["9.1.6", "failed", /a limit of the server: message too big \(close 1009\)/]],
  "accepts long control frames": [["2.3.3", "failed", /the server sent a control frame|got pong/]],
  "accepts fragmented control frames": [
    ["5.4.1", "failed", /got pong/],
    ["5.4.2", "failed", /got pong/],
  ],
  "joins interleaved messages": [
    ["5.4.14", "failed", /got text/],
    ["5.6.17", "failed", /got text/],
  ],
  "accepts stray continuations": [
    ["5.4.6", "failed", /got text/],
    ["5.4.13", "failed", /continues/],
  ],
  "loses empty fragments' FIN": [["5.1.5", "failed", /waited/]],
  "no pong": [["2.1.1", "failed", /waited|got close/]],
  "empty pong": [["2.1.2", "failed", /expected pong of 1 bytes, 21, got pong of 0/]],
  "late pong": [
    ["2.6.1", "non-strict", /only after a message that was completed later/],
    ["2.6.3", "failed", /waited/],
  ],
  "answers pongs": [["2.4.1", "failed", /got pong/]],
  "one pong for a burst": [["2.5.1", "informational", /not answer every ping/]],
  "accepts invalid UTF-8": [
    ["6.7.1", "failed", /not UTF-8/],
    ["6.12.1", "failed", /not UTF-8/],
    ["6.14.1", "failed", /not UTF-8/],
  ],
  "replaces invalid UTF-8": [
    ["6.7.1", "failed", /got text/],
    ["6.8.30", "failed", /got text/],
  ],
  "UTF-8 at the end of the message": [
    ["6.4.1", "non-strict", /end of the message/],
    ["6.5.1", "non-strict", /end of the frame/],
  ],
  "UTF-8 at the end of the frame": [
    ["6.4.1", "ok", /^$/],
    ["6.6.30", "non-strict", /end of the frame/],
  ],
  "accepts surrogates": [
    ["6.7.19", "failed", /not UTF-8/],
    ["6.7.13", "ok", /^$/],
  ],
  "accepts incomplete UTF-8": [
    ["6.12.1", "failed", /not UTF-8/],
    ["6.7.1", "ok", /^$/],
  ],
  "accepts 1005": [["7.4.5", "failed", /sent the close code 1005/]],
  "accepts undefined codes": [
    ["7.6.2", "non-strict", /accepts the code/],
    ["7.7.1", "informational", /accepts the code/],
  ],
  "no close frame": [["7.1.1", "failed", /got the end of the connection/]],
  "never closes": [
    ["7.1.2", "failed", /waited .* to close the connection/],
    ["3.1.1", "failed", /waited .* to close the connection/],
  ],
  "echoes after close": [["7.10.1", "failed", /after its close frame/]],
  "pongs after close": [["7.10.2", "failed", /after its close frame/]],
  "accepts a close frame of one byte": [["7.8.1", "non-strict", /without a code instead of 1002/]],
  "accepts invalid reasons": [["7.9.1", "non-strict", /close 1000 instead of 1007/]],
  "always 1000": [
    ["4.1.1", "non-strict", /close 1000 instead of 1002/],
    ["6.7.1", "non-strict", /close 1000 instead of 1007/],
  ],
  "fails without a close frame": [
    ["4.1.1", "non-strict", /without a close frame/],
    ["10.1.1", "ok", /^$/],
  ],
  "sends after its close frame": [["7.1.3", "failed", /after its close frame/]],
  "half-open": [["7.13.1", "non-strict", /keeps a connection/]],
  "wrong accept": [
    ["1.1.1", "failed", /Accept/],
    ["8.1.1", "failed", /Accept/],
  ],
  "any version": [
    ["8.2.2", "failed", /accepted/],
    ["8.3.1", "failed", /accepted/],
  ],
  "no version header": [["8.2.2", "failed", /without the supported versions/]],
  "no key needed": [
    ["8.3.2", "failed", /accepted/],
    ["8.3.7", "failed", /accepted/],
  ],
  "agrees on unknown extensions": [["8.4.1", "failed", /does not exist/]],
  "RSV1 on continuations": [["14.1.1", "failed", /got text/]],
  "takeover despite no_context_takeover": [
    ["12.1.2", "failed", /before the start/],
    ["13.3.8", "failed", /before the start/],
  ],
  "client window that was not offered": [["12.1.1", "failed", /client_max_window_bits was not offered/]],
  "larger window than agreed": [
    ["12.2.1", "failed", /with a window of 256/],
    ["12.2.5", "failed", /with a window of 4096/],
  ],
  "ignores server_no_context_takeover": [["12.1.2", "failed", /is not in the response/]],
  "accepts unknown parameters": [["12.7.1", "failed", /must be declined/]],
  "compresses without negotiation": [["12.11.1", "failed", /reserved bits/]],
  "passes corrupt data": [["14.4.1", "failed", /got text/]],
  "compressed text is not checked": [["14.5.1", "failed", /not UTF-8/]],
  "forgets its context": [
    ["12.1.1", "failed", /close 1007/],
    ["12.1.3", "ok", /^$/],
  ],
  "stops at a last block": [["13.16.11", "failed", /got text of 3 bytes/]],
};

const HTTP2_FLAWS: Partial<Record<Flaw, Found>> & Record<Http2Flaw, Found> = {
  "no setting": [
    ["1.1.1", "failed", /ENABLE_CONNECT_PROTOCOL/],
    ["8.5.1", "failed", /ENABLE_CONNECT_PROTOCOL/],
  ],
  "any protocol": [
    ["8.7.2", "failed", /accepted with status 200/],
    ["8.7.1", "ok", /^$/],
  ],
  "any version": [
    ["8.6.2", "failed", /accepted/],
    ["8.7.1", "failed", /accepted/],
  ],
  "no version header": [["8.6.2", "failed", /without the supported versions/]],
  "wrong accept": [
    ["8.5.2", "failed", /sec-websocket-accept/],
    ["8.5.1", "ok", /^$/],
  ],
  "ends with a reset": [
    ["7.1.3", "non-strict", /reset the connection instead of closing it/],
    ["3.1.1", "ok", /^$/],
  ],
  "a refusal ends all": [["8.7.1", "failed", /a reset of the connection \(with the whole|the connection: ended/]],
  "a reset ends all": [
    ["8.8.2", "failed", /got (a reset|the end) of the connection/],
    ["8.8.1", "ok", /^$/],
  ],
  "half-open": [["7.13.1", "non-strict", /keeps a connection/]],
  "wrong byte": [["8.8.1", "failed", /first difference at byte/]],
};

const cases = new Map(wireClasses.flatMap((one) => one.cases).map((one) => [one.id, one]));

test("a valid server passes every case", { timeout: 240_000 }, async () => {
  const server = await tinyServer();
  onTestFinished(() => server.close());
  const target = http1Target(server.url, { timeout: 60_000 });
  const results = await runCases(selectCases(wireClasses, target), target, { timeout: 60_000, patience: 60_000 });
  const wrong = results.filter(({ outcome }) => outcome !== "ok");
  expect(wrong).toEqual([]);
  expect(results.length).toBe([...cases.values()].filter(({ over }) => over !== "HTTP/2").length);
});

test("a valid server passes over HTTP/2", { timeout: 240_000 }, async () => {
  const server = await tinyHttp2Server();
  onTestFinished(() => server.close());
  const target = http2Target(server.url, { timeout: 60_000 });
  const wanted = selectCases(wireClasses, target, ["1.1.*", "2.*", "3.*", "5.*", "7.*", "8.*", "12.1.*"]);
  const results = await runCases(wanted, target, { timeout: 60_000, patience: 60_000 });
  const wrong = results.filter(({ outcome }) => outcome !== "ok");
  expect(wrong).toEqual([]);
  expect(results.filter(({ id }) => cases.get(id)!.over === "HTTP/2").length).toBeGreaterThan(15);
  expect(results.filter(({ id }) => cases.get(id)!.over === "HTTP/1.1")).toEqual([]);
});

describe.concurrent.each([
  ["HTTP/1.1", FLAWS, tinyServer, http1Target],
  ["HTTP/2", HTTP2_FLAWS, tinyHttp2Server, http2Target],
] as const)("a flaw is found over %s", (_version, flaws, serve, targetOf) => {
  for (const [flaw, found] of Object.entries(flaws)) {
    test(flaw, async ({ onTestFinished }) => {
      const server = await serve(flaw as Flaw);
      onTestFinished(() => server.close());
      const target = targetOf(server.url);
      const wanted = found.map(([id]) => cases.get(id)!);
      // Short, because these cases wait for answers that a broken server does not send.
      const results = await runCases(wanted, target, { timeout: 4_000, patience: 800 });
      for (const [i, [id, outcome, reason]] of found.entries()) {
        const { title, reasons } = results[i]!;
        expect(results[i]!, `${id} ${title}: ${reasons}`).toMatchObject({ id, outcome });
        expect(reasons.join("; ")).toMatch(reason);
      }
    });
  }
});
