/** The tiny server's opening handshake, and the flaws that the server can have. */
import { createHash } from "node:crypto";
import { type DeflateParams, parseExtensions } from "../src/negotiation.ts";

/** Flaws that only a server over HTTP/2 can have. */
export type Http2Flaw = "no setting" | "any protocol" | "ends with a reset" | "a refusal ends all" | "a reset ends all";

/** Flaws of a server. */
export type Flaw =
  // frames out
  | "wrong byte"
  | "masks"
  | "text as binary"
  | "drops empty messages"
  | "echoes twice"
  | "swaps messages"
  | "64-bit length at 65535"
  | "16-bit length at 125"
  | "reserved bit"
  // frames in
  | "ignores RSV"
  | "ignores RSV on control frames"
  | "accepts unmasked"
  | "ignores reserved opcodes"
  | "accepts any length coding"
  | "headers in one chunk only"
  | "mask restarts with each chunk"
  | "small limit"
  | "accepts long control frames"
  // fragments
  | "accepts fragmented control frames"
  | "joins interleaved messages"
  | "accepts stray continuations"
  | "loses empty fragments' FIN"
  // pings
  | "no pong"
  | "empty pong"
  | "late pong"
  | "answers pongs"
  | "one pong for a burst"
  // UTF-8
  | "accepts invalid UTF-8"
  | "replaces invalid UTF-8"
  | "UTF-8 at the end of the message"
  | "UTF-8 at the end of the frame"
  | "accepts surrogates"
  | "accepts incomplete UTF-8"
  // closing
  | "accepts 1005"
  | "accepts undefined codes"
  | "no close frame"
  | "never closes"
  | "echoes after close"
  | "pongs after close"
  | "accepts a close frame of one byte"
  | "accepts invalid reasons"
  | "always 1000"
  | "fails without a close frame"
  | "sends after its close frame"
  | "half-open"
  // handshake
  | "wrong accept"
  | "any version"
  | "no version header"
  | "no key needed"
  | "agrees on unknown extensions"
  // HTTP/2
  | Http2Flaw
  // deflate
  | "RSV1 on continuations"
  | "takeover despite no_context_takeover"
  | "client window that was not offered"
  | "larger window than agreed"
  | "ignores server_no_context_takeover"
  | "accepts unknown parameters"
  | "compresses without negotiation"
  | "passes corrupt data"
  | "compressed text is not checked"
  | "forgets its context"
  | "stops at a last block";

export type Flaws = (flaw: Flaw) => boolean;

const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export const acceptOf = (key: string): string =>
  createHash("sha1")
    .update(key + GUID)
    .digest("base64");

/** The response to an opening handshake, and the negotiated parameters. */
export const answerTo = (
  head: string,
  has: Flaws,
): { answer: string; params?: DeflateParams | undefined; open: boolean } => {
  const [line, ...lines] = head.split("\r\n") as [string, ...string[]];
  const headers: Record<string, string> = {};
  for (const one of lines) {
    const [name, value] = [one.slice(0, one.indexOf(":")).toLowerCase(), one.slice(one.indexOf(":") + 1).trim()];
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  const refuse = (status: string) => ({
    answer: `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    open: false,
  });
  const key = headers["sec-websocket-key"] ?? "";
  const lists = (name: string, value: string): boolean =>
    headers[name]?.toLowerCase().split(/, */).includes(value) ?? false;
  if (!/^GET .* HTTP\/1\.1$/.test(line) || !headers.host) return refuse("400 Bad Request");
  if (!lists("upgrade", "websocket") || !lists("connection", "upgrade")) return refuse("426 Upgrade Required");
  if (!has("no key needed") && !/^[A-Za-z0-9+/]{22}==$/.test(key)) return refuse("400 Bad Request");
  if (headers["sec-websocket-version"] !== "13" && !has("any version")) {
    return refuse(`426 Upgrade Required${has("no version header") ? "" : "\r\nSec-WebSocket-Version: 13"}`);
  }
  const offered = headers["sec-websocket-extensions"];
  const agreed = offered === undefined ? undefined : agree(offered, has);
  const unknown = offered?.startsWith("x-") && has("agrees on unknown extensions") ? "x-unknown" : undefined;
  const extensions = unknown ?? agreed?.answer;
  return {
    answer: `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${
      has("wrong accept") ? key : acceptOf(key)
    }\r\n${extensions ? `Sec-WebSocket-Extensions: ${extensions}\r\n` : ""}\r\n`,
    params: agreed?.params,
    open: true,
  };
};

/** The first offer that can be accepted. */
export const agree = (header: string, has: Flaws): { answer: string; params: DeflateParams } | undefined => {
  for (const { name, params } of parseExtensions(header) ?? []) {
    const values = new Map(params);
    const isSound = params.every(([key, value]) =>
      /^(server|client)_no_context_takeover$/.test(key)
        ? value === undefined
        : /^(server|client)_max_window_bits$/.test(key)
          ? (value === undefined && key.startsWith("client")) || /^([89]|1[0-5])$/.test(value ?? "")
          : has("accepts unknown parameters"),
    );
    if (name !== "permessage-deflate" || !isSound || values.size < params.length) continue;
    const answer = [name];
    const serverNo = values.has("server_no_context_takeover") && !has("ignores server_no_context_takeover");
    if (serverNo) answer.push("server_no_context_takeover");
    if (values.has("client_no_context_takeover")) answer.push("client_no_context_takeover");
    const serverBits = values.get("server_max_window_bits");
    if (serverBits) answer.push(`server_max_window_bits=${serverBits}`);
    const clientBits = has("client window that was not offered") ? "15" : values.get("client_max_window_bits");
    if (clientBits) answer.push(`client_max_window_bits=${clientBits}`);
    return {
      answer: answer.join("; "),
      params: {
        serverNoContextTakeover: serverNo,
        clientNoContextTakeover: values.has("client_no_context_takeover"),
        serverMaxWindowBits: Number(serverBits ?? 15),
        clientMaxWindowBits: Number(clientBits ?? 15),
      },
    };
  }
  return undefined;
};
