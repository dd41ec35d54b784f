/** The closing handshake (RFC 6455 §5.5.1, §7). */
import { echoes, fails, type Row, script, section, wireClass } from "../case.ts";
import { CLOSE, close, encode, type Frame, frame, last, type Payload, ping, pong, text } from "../frames.ts";
import { Failure } from "../outcome.ts";
import { answersTo } from "../owed.ts";
import { ascii, hex, mixed } from "../payloads.ts";

/** Close codes that a client may send: defined by the RFC, registered later, and for private use. */
const VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];

/** §7.4.1 and §7.4.2: must not be sent, or are not used. */
const FORBIDDEN = [0, 1, 999, 1004, 1005, 1006, 1015];

/** §7.4.2: reserved for the protocol, but not defined. */
const UNDEFINED = [1016, 1100, 2000, 2999];

/** Not mentioned in the RFC. */
const BEYOND = [5000, 9999, 65_535];

const closesWith = (title: string, code: number | undefined, reason: Payload = "", how: "whole" | 1 = "whole"): Row =>
  script(title, async (peer) => {
    await peer.send([close(code, reason)], how);
    await peer.closes([code]);
  });

/** The server should refuse the code, but no MUST requires it. */
const refusedOrEchoed = (code: number, outcome: "non-strict" | "informational"): Row =>
  script(`${code}`, async (peer) => {
    await peer.send([close(code)]);
    const got = await peer.next("the answer to the client's close frame");
    if (got.kind !== "close" || got.code === 1002) return peer.failed(got, [1002]);
    peer.note(outcome, `accepts the code: answers with ${got.code ?? "no code"}`);
  });

/** The server ignores what follows a close frame (§5.5.1): it answers the close frame only. */
const ignoresAfter = (title: string, after: readonly Frame[], before: readonly Frame[] = []): Row =>
  script(title, async (peer) => {
    await peer.send([...before, close(1000), ...after]);
    await peer.answers(answersTo(before));
    await peer.closes([1000]);
  });

const answeredThenCloses = (title: string, frames: readonly Frame[]): Row =>
  script(title, async (peer) => {
    await Promise.all([peer.send([...frames, close(1000)]), peer.answers(answersTo(frames))]);
    await peer.closes([1000]);
  });

const badReason = (digits: string): Row =>
  fails(digits, 1007, [close(1000, Buffer.concat([Buffer.from("κόσμε"), hex(digits)]))]);

export const closing = wireClass(7, "close handling", [
  section("handshake", [
    closesWith("without a code", undefined),
    closesWith("without a code, byte by byte", undefined, "", 1),
    closesWith("with a code", 1000),
    closesWith("with a code and a reason", 1000, "that's all"),
    closesWith("with a code and a reason, byte by byte", 1000, "that's all", 1),
    closesWith("with a reason of 123 bytes", 1000, ascii(123)),
    closesWith("with a reason of 123 bytes, most of them not ASCII", 1000, mixed(123)),
    echoes("after a message", [text("first")]),
    answeredThenCloses("with a message in the same chunk", [text("first")]),
    answeredThenCloses(
      "with 100 messages and pings in the same chunk",
      Array.from({ length: 100 }, (_, i) => (i % 2 ? ping(`${i}`) : text(`${i}`))),
    ),
    answeredThenCloses("right after 256 KiB", [text(ascii(262_144))]),
  ]),
  section(
    "valid code",
    VALID.map((code) => closesWith(`${code}`, code)),
  ),
  section(
    "valid code with a reason",
    VALID.map((code) => closesWith(`${code}`, code, "a reason")),
  ),
  section(
    "forbidden code",
    FORBIDDEN.map((code) => fails(`${code}`, 1002, [close(code)])),
  ),
  section(
    "forbidden code with a reason",
    FORBIDDEN.map((code) => fails(`${code}`, 1002, [close(code, "a reason")])),
  ),
  section(
    "undefined code",
    UNDEFINED.map((code) => refusedOrEchoed(code, "non-strict")),
  ),
  section(
    "code beyond those of the RFC",
    BEYOND.map((code) => refusedOrEchoed(code, "informational")),
  ),
  section("payload", [
    fails("of one byte", 1002, [frame(CLOSE, hex("03"))]),
    fails("of one byte, byte by byte", 1002, [frame(CLOSE, hex("03"))], { how: 1 }),
    fails("of 126 bytes", 1002, [close(1000, ascii(124))]),
    fails("of 65 536 bytes", 1002, [close(1000, ascii(65_534))]),
  ]),
  section(
    "reason text that is not UTF-8",
    ["80", "ff", "c0 80", "ce", "e0 80 80", "ed a0 80", "f0 9f 98", "f4 90 80 80"].map(badReason),
  ),
  section("after a close frame", [
    ignoresAfter("a message", [text("too late")]),
    ignoresAfter("a ping", [ping("too late")]),
    ignoresAfter("a pong", [pong("too late")]),
    ignoresAfter("another close frame", [close(1001)]),
    ignoresAfter("an invalid frame", [frame(3, "too late", { rsv: 7 })]),
    ignoresAfter("a message before and one after", [text("too late")], [text("in time")]),
    script("bytes that are not frames", async (peer) => {
      await peer.chop(Buffer.concat([encode([close(1000)]), hex("ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff")]));
      await peer.closes([1000]);
    }),
    script("1 MiB of messages", async (peer) => {
      await peer.send([close(1000), ...Array.from({ length: 16 }, () => text(ascii(65_536)))]);
      const got = await peer.next("the server's close frame");
      if (got.kind === "close") return peer.ends();
      if (got.kind !== "reset") throw new Failure(`expected the answer to the client's close frame, got ${got.kind}`);
      peer.note("non-strict", "resets the connection, so that its close frame is lost (§7.1.1)");
    }),
  ]),
  section("within a fragmented message", [
    script("the message is dropped", async (peer) => {
      await peer.send([text("a fragment", { fin: false }), close(1000)]);
      await peer.closes([1000]);
    }),
    script("the rest of the message arrives too late", async (peer) => {
      await peer.send([text("a fragment", { fin: false }), close(1000), last("the rest")]);
      await peer.closes([1000]);
    }),
    script("after a ping, one frame per chunk", async (peer) => {
      await peer.send([text("a fragment", { fin: false }), ping(), close(3000), last("the rest")], "apart");
      await peer.answers(answersTo([ping()]));
      await peer.closes([3000]);
    }),
    script("within a character", async (peer) => {
      await peer.send([text(hex("ce"), { fin: false }), close(1000)]);
      await peer.closes([1000]);
    }),
  ]),
  section("close frames that cross", [
    fails("the client's and the server's", 1002, [frame(3), close(1000)]),
    fails("the client's and the server's, byte by byte", 1002, [frame(3), close(1000)], { how: 1 }),
    fails("messages after the invalid frame are not answered", 1002, [frame(3), text("no"), ping("no"), text("no")]),
  ]),
  section("without a close frame", [
    script("the client ends its direction of the stream: the server ends its own", async (peer) => {
      await peer.send([text("first")]);
      await peer.answers(answersTo([text("first")]));
      peer.endWriting();
      for (let got = await peer.nextSoon(); got?.kind !== "end" && got?.kind !== "reset"; got = await peer.nextSoon()) {
        if (got === undefined) return peer.note("non-strict", "keeps a connection open whose other side has ended");
        if (got.kind !== "close") throw new Failure(`got ${got.kind} after the end of the client's stream`);
      }
    }),
  ]),
]);
