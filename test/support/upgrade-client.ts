/** Sends upgrade requests over HTTP/1.1 or HTTP/2, and returns the outcome in the same form for both. */
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { answerOf, request, testHttp2 } from "./http2-client.ts";
import { handshake, RawClient } from "./raw-client.ts";

export interface Knocked {
  /** `"open"` if the request was upgraded. */
  readonly status: number | "open";
  /** Names in lower case; several values are joined by newlines. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Reads and sends frames, if the connection is open. */
  readonly client: RawClient<Duplex>;
}

type Headers = Readonly<Record<string, string>>;

export const knockHttp1 = async (port: number, path: string, headers: Headers = {}): Promise<Knocked> => {
  const client = await RawClient.open(port);
  client.send(handshake(headers, `GET ${path} HTTP/1.1`));
  const head = await client.head();
  if (head.status === 101) return { status: "open", headers: head.headers, body: "", client };
  return { status: head.status, headers: head.headers, body: await bodyOf(client, head.headers), client };
};

/**
 * The body: as long as Content-Length says, or until the connection ends. The sizes of chunks are removed by a pattern,
 * which is enough for the short bodies of refusals.
 */
const bodyOf = async (client: RawClient<Duplex>, headers: Headers): Promise<string> => {
  const length = headers["content-length"];
  if (length !== undefined) return (await client.take(Number(length))).toString();
  const body = (await client.rest()).toString();
  return headers["transfer-encoding"] === "chunked"
    ? body.replace(/^[0-9a-f]+\r\n|\r\n(?:[0-9a-f]+\r\n)?/gi, "")
    : body;
};

export const knockHttp2 = async (port: number, path: string, headers: Headers = {}): Promise<Knocked> => {
  const session = await testHttp2(`http://127.0.0.1:${port}`);
  const stream = request(session, { ":path": path, ...headers });
  const answer = await answerOf(stream);
  const flat = Object.fromEntries(Object.entries(answer).map(([name, value]) => [name, [value].flat().join("\n")]));
  const client = RawClient.of<Duplex>(stream);
  if (answer[":status"] === 200) return { status: "open", headers: flat, body: "", client };
  stream.end();
  if (!stream.closed) await once(stream, "close");
  return { status: answer[":status"], headers: flat, body: (await client.rest()).toString(), client };
};
