import http2 from "node:http2";
import { describe } from "vitest";
import { selfSigned } from "../support/certificate.ts";
import { conformOnNode } from "../support/conformance-on-node.ts";
import { openHttp2Stream, resetStream } from "../support/http2-client.ts";
import { conformanceClient } from "../support/raw-conformance-client.ts";

type Listener = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void;

const tls = selfSigned();

const connect = async (url: string, path: string) => {
  const stream = await openHttp2Stream(url, { ":path": path });
  return conformanceClient(stream, () => resetStream(stream));
};

describe("in clear", () => {
  conformOnNode(
    (listener) => http2.createServer(listener as unknown as Listener),
    (port, path) => connect(`http://127.0.0.1:${port}`, path),
  );
});

describe("over TLS", () => {
  conformOnNode(
    (listener) => http2.createSecureServer(tls, listener as unknown as Listener),
    (port, path) => connect(`https://127.0.0.1:${port}`, path),
  );
});
