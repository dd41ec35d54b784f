/** Attacks over HTTP/2: up to 100 clients are streams of one connection. */
import type { ClientHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import { selfSigned } from "../../scripts/certificate.mjs";
import { answerOf, connectHttp2, type Http2Headers, request } from "../support/http2-client.ts";
import { RawClient } from "../support/raw-client.ts";
import type { AttackTransport, Entrance } from "./attack.ts";

/** The number that servers usually allow, and the minimum that RFC 9113 §6.5.2 recommends. */
const STREAMS_PER_CONNECTION = 100;

const enter = (url: string): Entrance => {
  const sessions: Promise<ClientHttp2Session>[] = [];
  let streams = 0;
  const session = (): Promise<ClientHttp2Session> => {
    if (sessions.length === 0 || streams === STREAMS_PER_CONNECTION) {
      // The client's own limit would prevent some attacks.
      sessions.push(connectHttp2(url, { maxSendHeaderBlockLength: 1_000_000 }));
      streams = 0;
    }
    streams++;
    return sessions.at(-1)!;
  };
  return {
    knock: async (target, headers = {}, behind) => {
      const stream = request(await session(), { ":path": target, ...(headers as Http2Headers) });
      const answer = answerOf(stream).then(
        ({ ":status": status }) => (status === 200 ? "open" : status),
        () => "reset" as const,
      );
      if (behind !== undefined) stream.write(behind);
      return { client: RawClient.of<Duplex>(stream), answer: () => answer };
    },
    leave: () => {
      for (const one of sessions.splice(0)) void one.then((left) => left.destroy());
    },
  };
};

export const http2: AttackTransport = {
  name: "HTTP/2",
  column: "HTTP/2",
  enter: (port) => enter(`http://127.0.0.1:${port}`),
};

export const http2OverTls: AttackTransport = {
  name: "HTTP/2",
  column: "HTTP/2, TLS",
  tls: selfSigned(),
  enter: (port) => enter(`https://127.0.0.1:${port}`),
};
